"""An image file of any kind is read, or refused in one line that names it."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.images import list_images, preprocess, read_image


def draw_seven(size=(200, 200), *, ink=0, paper=255):
    """A 7 as a user would draw it, black on white."""
    image = Image.new("L", size, paper)
    width, height = size
    corners = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]
    points = [(x * width, y * height) for x, y in corners]
    ImageDraw.Draw(image).line(points, ink, max(1, min(size) // 12), joint="curve")
    return image


def content(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def transparent():
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    image.putalpha(Image.eval(draw_seven(), lambda level: 255 - level))
    return image


def rotated():
    """An image on its side, with the EXIF tag that says how to rotate it."""
    image = draw_seven().transpose(Image.Transpose.ROTATE_90)
    image.getexif()[274] = 6
    return image


def with_16_bits(factor, size=(200, 200)):
    return Image.fromarray(np.asarray(draw_seven(size)).astype(np.uint16) * factor)


def with_floats(range_, lowest=0):
    values = np.asarray(draw_seven()) / 255 * range_ + lowest
    return Image.fromarray(values.astype(np.float32))


def on_a_wide_canvas():
    image = Image.new("L", (1400, 300), 255)
    image.paste(draw_seven(), (900, 60))
    return image


GOOD = {
    "black on white.png": draw_seven(),
    "white on black.png": draw_seven(ink=255, paper=0),
    "grey on grey.png": draw_seven(ink=90, paper=170),
    "transparent.png": transparent(),
    "palette.gif": draw_seven().convert("P"),
    "one bit.bmp": draw_seven().convert("1"),
    "colour.jpg": draw_seven().convert("RGB"),
    "cmyk.jpg": draw_seven().convert("RGB").convert("CMYK"),
    "rotated.jpg": rotated(),
    "wide.png": on_a_wide_canvas(),
    "huge.jpg": draw_seven((5000, 5000)),
    "huge palette.png": draw_seven((4000, 4000)).convert("P"),
    "16 bits.png": with_16_bits(257),
    "16 bits.tif": with_16_bits(257),
    "huge 16 bits.tif": with_16_bits(257, (4000, 4000)),
    "12 of 16 bits.tif": with_16_bits(16),
    "float to 1.tif": with_floats(1),
    "float to 255.tif": with_floats(255),
    "float that overshoots.tif": with_floats(1.13),
    "float of mean 0.tif": with_floats(3.2, lowest=-0.42),
    "float from -1.tif": with_floats(2.1, lowest=-1.05),
    "small.webp": draw_seven((60, 60)),
    "plain.pgm": draw_seven(),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_image_of_any_kind_is_read(tmp_path, trained, name):
    path = tmp_path / name
    exif = {"exif": GOOD[name].getexif()} if name == "rotated.jpg" else {}
    GOOD[name].save(path, **exif)
    image = preprocess(read_image(path)).image
    assert trained.network.predict(image[None])[0].argmax() == 7


def png_header(width, height):
    """A PNG whose header declares a size, with next to no pixels."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def not_a_number():
    return content(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF")


def animation():
    frames = [draw_seven(ink=80)]
    return content(draw_seven(), "GIF", save_all=True, append_images=frames)


def large_webp():
    return content(Image.new("L", (5001, 5000)), "WEBP", quality=0, method=0)


LFS = b"version https://git-lfs.github.com/spec/v1"
BAD = {
    "empty.png": (b"", "is empty"),
    "truncated.png": (content(draw_seven(), "PNG")[:200], "is damaged"),
    "cut.png": (b"\x89PNG\r\n\x1a\n\0\0", "is damaged: it contains no image"),
    "text.png": (b"a seven", "is not an image (PNG, JPEG"),
    "page.png": (b"<!DOCTYPE html><p>7", "is an HTML page: save the image itself"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG: save it"),
    "page.pdf": (b"%PDF-1.7", "is PDF: save the page as PNG"),
    "page.eps": (b"%!PS-Adobe-3.0 EPSF-3.0", "is PostScript: save it as PNG"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0", "is PostScript: save it as PNG"),
    "pointer.png": (LFS, "is a Git LFS pointer"),
    "20000x20000.png": (png_header(20_000, 20_000), "more than 50,000,000 pixels"),
    "slow.ppm": (b"P6 3000 2000 65535\n", "are 4,000,000 pixels"),
    "9000x9000.png": (png_header(9_000, 9_000), "are 50,000,000 pixels"),
    "ribbon.png": (png_header(70_000, 2), "65,535 per side"),
    "large.webp": (large_webp(), "are 25,000,000 pixels"),  # needs more memory
    "animated.gif": (animation(), "contains several images: save the intended one"),
    "nan.tif": (not_a_number(), "is damaged: it contains no finite number"),
    "noise.jpg": (bytes(range(256)) * 9, "is not an image"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_image_is_refused_in_a_line_that_names_it(tmp_path, name):
    bad, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(bad)
    with pytest.raises(ValueError) as refused:
        read_image(path)
    text = str(refused.value)
    assert message in text and str(path) in text and "\n" not in text


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "x.png"
    draw_seven().save(path)
    os.truncate(path, 2**31)  # sparse: needs no disk space
    with pytest.raises(ValueError, match=r"x\.png is larger than"):
        read_image(path)


def test_folders_pipes_and_links_to_themselves_are_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    entries = list_images(tmp_path).entries
    assert len(entries) == 3
    for entry in entries:
        with pytest.raises(ValueError, match=entry.path.name):
            read_image(entry.path)


@pytest.mark.parametrize("size", [(1, 1), (500, 1), (1, 500), (3, 3)])
def test_a_blank_or_tiny_image_is_blank(tmp_path, size):
    Image.new("L", size, 255).save(tmp_path / "x.png")
    prepared = preprocess(read_image(tmp_path / "x.png"))
    assert prepared.digit_count == 0 and not prepared.image.any()
