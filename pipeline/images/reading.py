"""Step 1 of the preprocessing: image file -> gray levels, after checks of the file.

Each error is a `UserError` with a message of one line that contains the file's name.
`listing` finds the files.
"""

import math
import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from pipeline import UserError
from pipeline.base.text import printable
from pipeline.images import constants

# Pillow must not try other formats: its EPS reader would start Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
FORMAT_NAMES = ", ".join(FORMATS).replace("WEBP", "WebP")
MAX_FILE_BYTES = 2**28  # enough for 50 million pixels of 16 bits
MAX_PIXELS = 50_000_000  # a large phone photograph; reading it needs 900 MB
MAX_PLAIN_PPM_PIXELS = 4_000_000  # Pillow reads this format pixel by pixel, in 7 s
MAX_SIDE = 65_535  # pixels
REDUCED_SIDE = 1600  # pixels to which the longer side of an image is reduced
OTHER_BRANDS = (  # brands of files that start with "ftyp" (ISO/IEC 14496-12)
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    *(b"avif", b"avis"),
)
OTHER_FORMATS = {  # the first bytes of other formats, in lower case
    b"version https://git-lfs": "a Git LFS pointer, not the image: run git lfs pull",
    b"%pdf": "PDF: save the page as PNG",
    b"%!ps": "PostScript: save it as PNG",
    b"<svg": "SVG: save it as PNG",
    b"<?xml": "XML, possibly SVG: save it as PNG",
    b"<!doc": "an HTML page: save the image itself",
    b"<html": "an HTML page: save the image itself",
}


def read_image(path: Path) -> UInt8[np.ndarray, "height width"]:
    """Read an image of any size and mode as gray levels, rotated by its EXIF tag.

    Raises:
        UserError: If the image cannot be read; the message gives the file and the
            reason.
    """
    name = printable(path)
    _check_file(path, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metadata and size can cause warnings
            with Image.open(path, formats=FORMATS) as image:
                _check_header(image, name)
                # Decode a JPEG at a lower resolution; other formats ignore this call.
                image.draft("RGB", (REDUCED_SIDE, REDUCED_SIDE))
                decoded = _decode(image)
    except Image.DecompressionBombError:
        raise UserError(f"{name} must have at most {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UserError(f"{name} is damaged or not an image ({FORMAT_NAMES})") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise errors of many types
        if isinstance(error, OSError) and error.errno:  # an error of the system
            raise UserError(f"{name} cannot be read: {error.strerror}") from None
        raise UserError(f"{name} is damaged: {error}") from None
    levels = np.asarray(decoded)
    if levels.dtype.kind == "f" and not np.isfinite(levels).any():
        raise UserError(f"{name} is damaged: it contains no finite values")
    return gray_levels(decoded)


def _check_file(path: Path, name: str) -> None:
    """Reject a path that is not a file, and a file with a wrong size or format."""
    try:
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            if not os.path.lexists(path):
                raise UserError(describe_missing(path))
            raise UserError(f"{name} is {kind}")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise UserError(
                f"{name} must have at most {MAX_FILE_BYTES:,} bytes, got {size:,}"
            )
        with path.open("rb") as stream:
            head = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    if not head:
        raise UserError(f"{name} is empty")
    if head[4:8] == b"ftyp" and head[8:12] in OTHER_BRANDS:
        raise UserError(f"{name} is HEIC, HEIF or AVIF: convert it to JPEG or PNG")
    for start, description in OTHER_FORMATS.items():
        if head.startswith(start):
            raise UserError(f"{name} is {description}")


def describe_missing(path: Path) -> str:
    """Say that a path does not exist and, if it is relative, in which folder."""
    folder = "" if path.is_absolute() else f" in {printable(Path.cwd())}"
    return f"{printable(path)} does not exist{folder}"


def _check_header(image: ImageFile.ImageFile, name: str) -> None:
    """Reject images that need too much memory or time, before the pixels are read."""
    width, height = image.size
    heavy = image.mode[0] in "IF" or image.format == "WEBP"  # larger pixels, or copies
    slow = image.format == "PPM" and image.tile[0][0] != "raw"
    limit = MAX_PLAIN_PPM_PIXELS if slow else MAX_PIXELS // 2 if heavy else MAX_PIXELS
    if width * height > limit or max(width, height) > MAX_SIDE:
        raise UserError(
            f"{name} must have at most {limit:,} pixels and {MAX_SIDE:,} per side, "
            f"got {width}x{height}"
        )
    if image.format == "MPO":  # a JPEG with a preview
        return
    try:
        image.seek(1)  # counting all frames can take minutes
    except EOFError:
        return
    raise UserError(f"{name} contains several images: save the intended one")


def _decode(image: Image.Image) -> Image.Image:
    """Read the pixels of an image, as RGBA unless a pixel is a single 32-bit number.

    This function calls only functions of Pillow, because each can fail for a damaged
    file. The image is rotated according to its EXIF tag, and a large image is reduced
    to save memory.
    """
    image = ImageOps.exif_transpose(image)
    factor = math.ceil(max(image.size) / REDUCED_SIDE)
    if factor > 1:
        if image.mode.startswith("I;16"):  # Pillow cannot reduce this mode
            image = image.convert("I")
        if image.mode in ("1", "P", "PA"):
            image = image.convert("RGBA")
        image = image.reduce(factor)
    if image.mode == "LAB":
        image = image.getchannel("L")  # Pillow converts LAB to no other mode
    return image if image.mode[0] in "IF" else image.convert("RGBA")


def gray_levels(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """Convert an image of any mode to gray levels.

    Transparent parts become a background that contrasts with the ink. If a color
    channel has far more contrast than the luminance (yellow ink), the channel is used.
    """
    if image.mode[0] in "IF":  # 32-bit integers, 16 bits, floating point
        return _scale_to_bytes(np.asarray(image))
    pixels = np.asarray(image.convert("RGBA"), np.float32)
    *channels, alpha = np.moveaxis(pixels, 2, 0)
    opaque = alpha > alpha.max() / 2  # ink can be faint everywhere
    if not opaque.any():
        return np.full(alpha.shape, 255, np.uint8)
    luminance = np.tensordot(constants.LUMINANCE, np.stack(channels), 1)
    gray = max(channels, key=lambda channel: channel[opaque].std())
    if gray[opaque].std() < constants.COLOR_CONTRAST * luminance[opaque].std():
        gray = luminance
    if not opaque.all():
        values = gray[opaque]
        # Opaque pixels of one tone are ink. Of several tones, they are paper with ink.
        contrasting = 255.0 if values.mean() < 128 else 0.0
        is_ink = values.std() < constants.ONE_TONE
        behind = contrasting if is_ink else float(np.median(values))
        gray = behind + (gray - behind) * alpha / 255
    return np.asarray(gray.round().clip(0, 255), np.uint8)


def _scale_to_bytes(
    values: Shaped[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h w"]:
    """Scale numbers to 0..255 from the smallest standard range that contains them.

    Floating-point numbers may exceed the range a little, because resampling overshoots.
    If the numbers use only a small part of the range, as in normalized images, their
    maximum is used. At least one number must be finite.
    """
    is_float = values.dtype.kind == "f"
    values = values.astype(np.float64)  # the range of float32 values overflows float32
    finite = values[np.isfinite(values)]
    lowest, highest = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    maxima = (1, 255, 4095, 65535) if is_float else (255, 4095, 65535)
    tolerance = 1.5 if is_float else 1
    full = next((top for top in maxima if highest <= tolerance * top), highest)
    if is_float and full > 4 * (highest - lowest):
        full = highest
    values = np.nan_to_num(values, nan=lowest, posinf=full, neginf=lowest)
    scaled = (values - lowest) / max(full - lowest, 1e-30)
    return np.asarray((scaled.clip(0, 1) * 255).round(), np.uint8)
