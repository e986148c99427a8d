"""An image file of any kind is read, or rejected in one line with the file's name."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from pipeline import UserError
from pipeline.base.text import printable
from pipeline.images import constants, list_images, preprocess, read_image


def draw_seven(size=(200, 200), *, ink=0, paper=255):
    """Return a 7 as a user would draw it, black on white."""
    image = Image.new("L", size, paper)
    width, height = size
    corners = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]
    points = [(x * width, y * height) for x, y in corners]
    ImageDraw.Draw(image).line(points, ink, max(1, min(size) // 12), joint="curve")
    return image


def rotated():
    """Return an image on its side, with the EXIF tag that says how to rotate it."""
    image = draw_seven().transpose(Image.Transpose.ROTATE_90)
    image.getexif()[274] = 6
    return image


def transparent(ink, *, alpha=255):
    """Return an image of ink on transparent paper, which has the same color."""
    return Image.merge(
        "LA", [Image.new("L", (200, 200), ink), draw_seven(ink=alpha, paper=0)]
    )


def with_16_bits(factor, side=200):
    levels = np.asarray(draw_seven((side, side))).astype(np.uint16)
    return Image.fromarray(levels * factor)


def with_floats(range_, lowest=0):
    values = np.asarray(draw_seven()) / 255 * range_ + lowest
    return Image.fromarray(values.astype(np.float32))


GOOD = {
    "white on black.png": lambda: draw_seven(ink=255, paper=0),
    "gray on gray.png": lambda: draw_seven(ink=90, paper=170),
    "palette.gif": lambda: draw_seven().convert("P"),
    "one bit.bmp": lambda: draw_seven().convert("1"),
    "color.jpg": lambda: draw_seven().convert("RGB"),
    "cmyk.jpg": lambda: draw_seven().convert("CMYK"),
    "yellow ink.png": lambda: ImageOps.colorize(draw_seven(), (255, 235, 60), "white"),
    "opaque.png": lambda: draw_seven().convert("RGBA"),
    "transparent, black ink.png": lambda: transparent(ink=0),
    "transparent, white ink.png": lambda: transparent(ink=255),
    "transparent, faint ink.png": lambda: transparent(ink=0, alpha=40),
    "ycbcr.tif": lambda: draw_seven().convert("YCbCr"),
    "32 bits.tif": lambda: draw_seven().convert("I"),
    "rotated.jpg": lambda: rotated(),
    "huge.jpg": lambda: draw_seven((3300, 3300)),
    "huge palette.png": lambda: draw_seven((2000, 2000)).convert("P"),
    "16 bits.png": lambda: with_16_bits(257),
    "huge 16 bits.tif": lambda: with_16_bits(257, side=2000),
    "12 of 16 bits.tif": lambda: with_16_bits(16),
    "float to 255.tif": lambda: with_floats(255),
    "float that overshoots.tif": lambda: with_floats(1.13),
    "float of mean 0.tif": lambda: with_floats(3.2, lowest=-0.42),
    "float of all sizes.tif": lambda: with_floats(6e38, lowest=-3e38),
    "lossy.webp": lambda: draw_seven((100, 100)),
}


@pytest.fixture(scope="module")
def seven():
    """The preprocessed 7."""
    return preprocess(np.array(draw_seven())).image


@pytest.mark.parametrize("name", GOOD)
def test_an_image_of_any_kind_is_read(tmp_path, name, seven):
    path = tmp_path / name
    image = GOOD[name]()
    image.save(path, **({"exif": image.getexif()} if name == "rotated.jpg" else {}))
    read = preprocess(read_image(path)).image
    # A shift by one pixel gives about this correlation.
    assert np.corrcoef(read.ravel(), seven.ravel())[0, 1] > 0.8


def test_a_large_image_of_16_bits_is_averaged_and_keeps_its_range(tmp_path):
    noise = np.random.default_rng(1).integers(0, 5001, (1602, 1602), np.uint16)
    levels = []
    for side in (1600, 1602):
        Image.fromarray(noise[:side, :side]).save(tmp_path / "a.png")
        levels.append(read_image(tmp_path / "a.png").astype(float))
    small, large = levels
    assert large.shape == (801, 801) and small.max() <= 20
    assert abs(large.mean() - small.mean()) < 0.1
    assert large.std() < 0.6 * small.std()  # means of 2x2 pixels: half of it


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def large_webp():
    return encoded(Image.new("L", (5001, 5000)), "WEBP", quality=0, method=0)


NAN = Image.fromarray(np.full((9, 9), np.nan, np.float32))


def with_many_alphas():
    """Return a PNG whose list of alpha values is longer than its palette can be."""
    content = encoded(draw_seven().convert("P"), "PNG")
    kind, alphas = b"tRNS", bytes(300)
    check = zlib.crc32(kind + alphas)
    chunk = struct.pack(">I4s300sI", len(alphas), kind, alphas, check)
    start = content.index(b"IDAT") - 4
    return content[:start] + chunk + content[start:]


FRAMES = {"save_all": True, "append_images": [draw_seven(ink=80)]}
CONVERT = "is HEIC, HEIF or AVIF: convert it to JPEG or PNG"
BAD = {
    "empty.png": (b"", "is empty"),
    "truncated.png": (encoded(draw_seven(), "PNG")[:200], "is damaged"),
    "cut.png": (b"\x89PNG\r\n\x1a\n\0\0", "is damaged or not an image (PNG, JPEG"),
    "text.png": (b"a seven", "is damaged or not an image"),
    "page.png": (b"<!DOCTYPE html><p>7", "is an HTML page: save the image itself"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG: save it"),
    "page.pdf": (b"%PDF-1.7", "is PDF: save the page as PNG"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0", "is PostScript: save it as PNG"),
    # The header of a photograph of an iPhone.
    "phone.heic": (b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiaf", CONVERT),
    "phone.jpg": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", CONVERT),
    "drawn.avif": (lambda: encoded(draw_seven(), "AVIF"), CONVERT),
    "pointer.png": (b"version https://git-lfs.github.com", "is a Git LFS pointer"),
    # Headers that declare a size, without the pixels.
    "20000x20000.pgm": (b"P5 20000 20000 255\n", "at most 50,000,000 pixels"),
    "9000x9000.pgm": (b"P5 9000 9000 255\n", "50,000,000 pixels and"),
    "ribbon.pgm": (b"P5 70000 2 255\n", "65,535 per side"),
    "slow.ppm": (b"P6 3000 2000 65535\n", "4,000,000 pixels and"),
    "large.webp": (large_webp, "25,000,000 pixels and"),  # needs more memory
    "animated.gif": (encoded(draw_seven(), "GIF", **FRAMES), "contains several images"),
    "alphas.png": (with_many_alphas, "is damaged: palette index out of range"),
    "nan.tif": (encoded(NAN, "TIFF"), "is damaged: it contains no finite values"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_an_image_is_rejected_by_name(tmp_path, name):
    bad, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(bad() if callable(bad) else bad)
    with pytest.raises(UserError) as rejected:
        read_image(path)
    text = str(rejected.value)
    assert message in text and str(path) in text and "\n" not in text


def test_large_files_folders_pipes_and_links_to_themselves_are_not_read(tmp_path):
    (tmp_path / "large.png").touch()
    os.truncate(tmp_path / "large.png", 2**31)  # sparse: needs no disk space
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    found = list_images(tmp_path).images
    assert len(found) == 4
    for path in (*found, tmp_path / "nowhere\0.png"):
        with pytest.raises(UserError, match=f"{printable(path)} (does|is|must|cannot)"):
            read_image(path)


def test_an_error_in_the_program_does_not_say_that_the_file_is_damaged(
    tmp_path, monkeypatch
):
    draw_seven().save(tmp_path / "good.png")
    monkeypatch.setattr(constants, "COLOR_CONTRAST", None)
    with pytest.raises(TypeError):
        read_image(tmp_path / "good.png")


WITHOUT_MEMORY = """import resource, sys
from pathlib import Path
from pipeline.images import read_image
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, 2 * (used + 20_000_000,))
try:
    read_image(Path(sys.argv[1]))
except MemoryError:
    print("not enough memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_lack_of_memory_does_not_say_that_the_file_is_damaged(tmp_path):
    Image.new("L", (7000, 7000)).save(tmp_path / "large.png")
    words = [sys.executable, "-c", WITHOUT_MEMORY, tmp_path / "large.png"]
    printed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert printed.stdout == "not enough memory\n", printed.stderr
