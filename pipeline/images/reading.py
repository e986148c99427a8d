"""Pictures that people bring: found in files and folders, and read as grey levels.

Nothing of a file is believed before it was checked, and whatever is wrong with one is
said in a line that names it; the others are read all the same.
"""

import csv
import itertools
import math
import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from pipeline.files import printable
from pipeline.images import ink

# Pillow tries no other: its reader of EPS would start Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
ENDINGS = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
ENDINGS |= {".ppm", ".pgm", ".pbm", ".pnm"}
NOT_READ = {".svg", ".pdf", ".eps", ".ps", ".heic", ".heif", ".avif", ".psd", ".raw"}
MAX_FILE_BYTES = (
    2**28
)  # bytes of a picture's file; 50 million pixels of 16 bits have more
MAX_PIXELS = (
    50_000_000  # pixels of a picture, as large phones take them: 900 MB at most
)
MAX_PLAIN_PPM_PIXELS = 4_000_000  # pixels of a PPM that Pillow reads one by one, in 7 s
MAX_TABLE_BYTES = 2**24  # bytes of a labels.csv
MAX_TABLE_ROWS = 100_000  # that it may have
MAX_SIDE = 65_535  # pixels of a picture, in either direction
REDUCED_SIDE = 1600  # pixels a side to which larger pictures are reduced at once
STARTS = {
    b"version https://git-lfs": "a Git LFS pointer, not the picture: git lfs pull",
    b"%PDF": "PDF: save the page as PNG",
    b"%!PS": "PostScript: save it as PNG",
    b"<svg": "SVG: save it as PNG",
    b"<?xml": "XML, perhaps SVG: save it as PNG",
    b"<!doc": "an HTML page: save the picture itself",
    b"<html": "an HTML page: save the picture itself",
}
# How files begin that are pictures, or were; in small letters.
KNOWN = (b"\x89png", b"\xff\xd8\xff", b"gif8", b"ii*\0", b"mm\0*", b"riff")


@dataclass(frozen=True)
class ImageEntry:
    """A picture that is still to be read."""

    path: Path
    label: int | None


@dataclass
class ImageListing:
    """The pictures of a file or folder, and how it was understood."""

    entries: list[ImageEntry] = field(default_factory=list)
    label_source: str = ""  # where the labels come from
    labels_from_names: bool = False  # by the first digit of each file's name
    problems: list[str] = field(default_factory=list)  # a line for each that is lost


def list_images(place: Path) -> ImageListing:
    """Find the pictures of a place, without reading them.

    Labels come from a `labels.csv`, from folders named 0..9, or from the first digit
    of a file's name, if it stands alone: IMG_2026 is no 2.

    Raises:
        ValueError: If there is no such place, or no picture in it.
    """
    try:
        folder = stat.S_ISDIR(place.stat().st_mode)
    except FileNotFoundError:
        raise ValueError(f"{printable(place)} is missing") from None
    except (OSError, ValueError) as error:  # a null byte is the latter
        raise ValueError(f"{printable(place)} can't be read: {error}") from None
    if not folder:
        alone = ImageEntry(place, _digit_of(place))
        return ImageListing([alone], "label from the file name", labels_from_names=True)
    table = place / "labels.csv"
    folders = [place / str(digit) for digit in range(10)]
    if os.path.lexists(table):
        found = _from_table(table)
    elif any(inner.is_dir() for inner in folders):
        found = ImageListing(label_source="labels from the folders 0 to 9")
        for digit, inner in enumerate(folders):
            try:
                paths = [*_pictures_in(inner)] if inner.is_dir() else []
            except OSError as error:
                found.problems.append(
                    f"{printable(inner)} can't be read: {error.strerror}"
                )
                continue
            found.entries += [ImageEntry(path, digit) for path in paths]
        _leave_out(found, set(), place)
    else:
        told = "labels from the first digit of each file's name"
        found = ImageListing(label_source=told, labels_from_names=True)
        found.entries = [
            ImageEntry(path, _digit_of(path)) for path in _pictures_in(place)
        ]
    if not found.entries and not found.problems:
        raise ValueError(f"{printable(place)} holds no pictures ({_kinds()})")
    return found


def read_image(path: Path) -> UInt8[np.ndarray, "height width"]:
    """Read a picture of any size and mode as grey levels, turned as its EXIF says.

    Raises:
        ValueError: If it can't be read; it names the file and says what is wrong.
    """
    name = printable(path)
    try:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "no file that can be read"
            raise ValueError(
                f"{name} is {what if os.path.lexists(path) else 'missing'}"
            )
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(
                f"{name} is larger than {MAX_FILE_BYTES:,} bytes: save it smaller"
            )
        with path.open("rb") as stream:
            head = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except OSError as error:
        raise ValueError(f"{name} can't be read: {error.strerror}") from None
    for start, told in STARTS.items():
        if head.startswith(start.lower()):
            raise ValueError(f"{name} is {told}")
    if not head:
        raise ValueError(f"{name} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of large pictures
            with Image.open(path, formats=FORMATS) as picture:
                _check(picture, name)
                picture.draft(
                    "RGB", (REDUCED_SIDE, REDUCED_SIDE)
                )  # JPEG alone, and at once
                return ink.grey_levels(_smaller(picture))
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name} is damaged: {error}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        if head.startswith(KNOWN):
            raise ValueError(f"{name} is damaged: its picture can't be found") from None
        raise ValueError(f"{name} is no picture of a known kind ({_kinds()})") from None
    except Exception as error:  # whatever a reader of Pillow's says of odd bytes
        raise ValueError(f"{name} is damaged: {error}") from None


def relative_name(path: Path, place: str) -> str:
    """Name a picture as it is found from the place that was asked for."""
    root = Path(place).expanduser()
    return str(path.relative_to(root)) if path != root else path.name


def _check(picture: ImageFile.ImageFile, name: str) -> None:
    """Refuse a picture for what its head says, before its pixels are read."""
    width, height = picture.size
    heavy = picture.mode[0] in "IF" or picture.format == "WEBP"  # more bytes, copies
    slow = picture.format == "PPM" and picture.tile[0][0] != "raw"
    most = MAX_PLAIN_PPM_PIXELS if slow else MAX_PIXELS // 2 if heavy else MAX_PIXELS
    if width * height > most or max(width, height) > MAX_SIDE:
        raise ValueError(
            f"{name} has {width}x{height} pixels: at most {most:,} are read, and "
            f"{MAX_SIDE:,} in a direction"
        )
    if picture.format != "MPO" and _has_another(picture):  # a JPEG with a preview
        raise ValueError(f"{name} has several pictures: save the one that is meant")


def _has_another(picture: ImageFile.ImageFile) -> bool:
    """Say whether a second picture follows; to count them all can take minutes."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


def _smaller(picture: Image.Image) -> Image.Image:
    """Reduce a large picture, so that it is never held as many numbers."""
    picture = ImageOps.exif_transpose(picture)
    factor = math.ceil(max(picture.size) / REDUCED_SIDE)
    if factor == 1:
        return picture
    if picture.mode[0] in "IF":  # 16 and 32 bits a pixel, which Pillow can't reduce
        values = np.asarray(picture)[::factor, ::factor]
        return Image.fromarray(values.astype(np.float32))
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA")
    return picture.reduce(factor)


def _from_table(table: Path) -> ImageListing:
    """Read a labels.csv: a column with files and one with labels."""
    name = printable(table)
    try:
        if not table.is_file() or table.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"{name} is no file of up to {MAX_TABLE_BYTES:,} bytes")
        with table.open(encoding="utf-8-sig", newline="") as stream:
            separator = max(",;\t", key=stream.readline().count)
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=separator)
            columns = [column.strip().lower() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [
                (reader.line_num, row)
                for row in itertools.islice(reader, MAX_TABLE_ROWS + 1)
            ]
    except UnicodeError:
        raise ValueError(f"{name} is no UTF-8: save it as CSV in UTF-8") from None
    except (OSError, csv.Error) as error:
        raise ValueError(f"{name} can't be read: {error}") from None
    files = [c for c in columns if c in ("file", "path", "filename", "image")]
    labels = [c for c in columns if c in ("label", "digit", "class")]
    if not files or not labels:
        raise ValueError(
            f"{name} needs a first line with file and label, then rows; it has "
            f"{printable(', '.join(columns)[:80]) or 'nothing'}"
        )
    if not rows or len(rows) > MAX_TABLE_ROWS:
        what = "no row below it" if not rows else "more"
        raise ValueError(
            f"{name} needs a first line, then 1 to {MAX_TABLE_ROWS:,} rows; it has {what}"
        )
    found = ImageListing(label_source="labels from labels.csv")
    seen: set[str] = set()
    for number, row in rows:
        file, label = row[files[0]] or "", (row[labels[0]] or "").strip()
        if not os.path.lexists(table.parent / file):
            file = file.strip()
        file = os.path.normpath(file) if file else ""
        where = f"{name}, line {number}"
        path = table.parent / file
        if not re.fullmatch("[0-9]", label):
            found.problems.append(f"{where}: label {printable(label)!r} is not 0..9")
        elif not file or ".." in Path(file).parts or Path(file).is_absolute():
            found.problems.append(
                f"{where}: {printable(file)!r} is no file of the folder"
            )
        elif file in seen:
            found.problems.append(f"{where}: {printable(file)} stands there twice")
        elif not os.path.lexists(path):
            found.problems.append(f"{where}: {printable(file)} is missing")
        else:
            found.entries.append(ImageEntry(path, int(label)))
        seen.add(file)
    _leave_out(found, {picture.path for picture in found.entries}, table.parent)
    return found


def _leave_out(found: ImageListing, kept: set[Path], folder: Path) -> None:
    """Say how many pictures of a folder have no label, where others have one."""
    others = [path for path in _pictures_in(folder) if path not in kept]
    if others:
        found.label_source += f" ({len(others)} other images have none; skipped)"


def _pictures_in(folder: Path) -> Iterator[Path]:
    """Find what calls itself a picture, in the order of the names."""
    for path in sorted(folder.iterdir()):
        ending = path.suffix.lower()
        if not path.name.startswith(".") and ending in ENDINGS | NOT_READ:
            yield path


def _digit_of(path: Path) -> int | None:
    found = re.search("[0-9]+", path.stem)
    return int(found[0]) if found and len(found[0]) == 1 else None


def _kinds() -> str:
    return "PNG, JPEG, GIF, BMP, TIFF, WebP, PPM"
