"""Whatever people bring is read rightly, or refused in one line that names it."""

import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.images import preprocessing
from pipeline.images.reading import list_images, read_image


def seven(size=(200, 200), *, ink=0, paper=255):
    """A 7 as a person would draw it, black on white."""
    picture = Image.new("L", size, paper)
    width, height = size
    points = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]
    places = [(x * width, y * height) for x, y in points]
    ImageDraw.Draw(picture).line(places, ink, max(1, min(size) // 12), joint="curve")
    return picture


def is_a_seven(levels, network):
    image = preprocessing.preprocess(levels).image
    return network.predict(image[None])[0].argmax() == 7


@pytest.fixture(scope="module")
def reader(finished):
    from pipeline.model import storage

    return storage.load_model(finished.trained("model.safetensors"))


def transparent():
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    picture.putalpha(Image.eval(seven(), lambda level: 255 - level))
    return picture


def turned():
    """Lying on its side, with the EXIF tag that says how to turn it."""
    picture = seven().transpose(Image.Transpose.ROTATE_90)
    picture.getexif()[274] = 6
    return picture


def sixteen_bits(factor):
    return Image.fromarray(np.asarray(seven()).astype(np.uint16) * factor)


def floats(top, least=0):
    values = np.asarray(seven()) / 255 * top + least
    return Image.fromarray(values.astype(np.float32))


def no_numbers():
    content = io.BytesIO()
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(content, "TIFF")
    return content.getvalue()


def on_a_wide_canvas():
    picture = Image.new("L", (1400, 300), 255)
    picture.paste(seven(), (900, 60))
    return picture


GOOD = {
    "black on white.png": seven(),
    "white on black.png": seven(ink=255, paper=0),
    "grey on grey.png": seven(ink=90, paper=170),
    "transparent.png": transparent(),
    "palette.gif": seven().convert("P"),
    "one bit.bmp": seven().convert("1"),
    "colour.jpg": seven().convert("RGB"),
    "cmyk.jpg": seven().convert("RGB").convert("CMYK"),
    "turned.jpg": turned(),
    "wide.png": on_a_wide_canvas(),
    "huge.jpg": seven((5000, 5000)),
    "huge palette.png": seven((4000, 4000)).convert("P"),
    "16 bits.png": sixteen_bits(257),
    "16 bits.tif": sixteen_bits(257),
    "huge 16 bits.tif": Image.fromarray(
        np.asarray(seven((4000, 4000))).astype(np.uint16) * 257
    ),
    "12 of 16 bits.tif": sixteen_bits(16),
    "float to 1.tif": floats(1),
    "float to 255.tif": floats(255),
    "float that overshoots.tif": floats(1.13),
    "float of mean 0.tif": floats(3.2, least=-0.42),
    "float from -1.tif": floats(2.1, least=-1.05),
    "thin.webp": seven((300, 300)).resize((300, 300)),
    "plain.pgm": seven(),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_of_any_kind_is_read(tmp_path, reader, name):
    path = tmp_path / name
    exif = {"exif": GOOD[name].getexif()} if name == "turned.jpg" else {}
    GOOD[name].save(path, **exif)
    assert is_a_seven(read_image(path), reader)


def png():
    content = io.BytesIO()
    seven().save(content, "PNG")
    return content.getvalue()


def png_of_size(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = (
        chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def animated():
    content = io.BytesIO()
    seven().save(content, "GIF", save_all=True, append_images=[seven(ink=80)])
    return content.getvalue()


BAD = {
    "empty.png": (b"", "is empty"),
    "truncated.png": (png()[:200], "is damaged"),
    "cut.png": (b"\x89PNG\r\n\x1a\n\0\0", "is damaged: its picture can't be found"),
    "text.png": (b"a seven", "is no picture of a known kind (PNG, JPEG"),
    "page.png": (b"<!DOCTYPE html><p>7", "is an HTML page: save the picture itself"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG: save it"),
    "page.pdf": (b"%PDF-1.7", "is PDF: save the page as PNG"),
    "page.eps": (b"%!PS-Adobe-3.0 EPSF-3.0", "is PostScript: save it as PNG"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0", "is PostScript: save it as PNG"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
    "20000x20000.png": (png_of_size(20_000, 20_000), "more than 50,000,000 pixels"),
    "slow.ppm": (b"P6 3000 2000 65535\n", "at most 4,000,000 are read"),
    "9000x9000.png": (png_of_size(9_000, 9_000), "at most 50,000,000 are read"),
    "animated.gif": (animated(), "has several pictures: save the one that is meant"),
    "ribbon.png": (png_of_size(70_000, 2), "and 65,535 in a direction"),
    "nan.tif": (no_numbers(), "is damaged: it holds no finite number"),
    "noise.jpg": (bytes(range(256)) * 9, "is no picture of a known kind"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused_in_a_line_that_names_it(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        read_image(path)
    said = str(refused.value)
    assert message in said and str(path) in said and "\n" not in said


def test_a_format_that_takes_more_memory_may_have_fewer_pixels(tmp_path):
    path = tmp_path / "large.webp"
    Image.new("L", (5001, 5000)).save(path, quality=0, method=0)
    with pytest.raises(ValueError, match="at most 25,000,000 are read"):
        read_image(path)


def test_folders_pipes_loops_and_locked_files_are_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    seven().save(tmp_path / "good.png")
    found = list_images(tmp_path)
    assert len(found.entries) == 4
    for picture in found.entries:
        if picture.path.name != "good.png":
            with pytest.raises(ValueError, match=picture.path.name):
                read_image(picture.path)


@pytest.mark.parametrize("size", [(1, 1), (500, 1), (1, 500), (3, 3)])
def test_a_blank_or_tiny_picture_is_blank_and_no_crash(tmp_path, size):
    Image.new("L", size, 255).save(tmp_path / "x.png")
    made = preprocessing.preprocess(read_image(tmp_path / "x.png"))
    assert made.digit_count == 0 and not made.image.any()


NAMES = ["7\n.png", '7".png', "7😀.png", "-7.png", "=7+1.png", b"7\xff.png", "7 ü'.png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_found_with_its_label(tmp_path, name):
    path = tmp_path / (os.fsdecode(name) if isinstance(name, bytes) else name)
    path.write_bytes(png())
    (found,) = list_images(tmp_path).entries
    assert found.label == 7 and read_image(found.path).shape == (200, 200)


def test_labels_come_from_folders_or_from_the_first_digit_of_names(tmp_path):
    for name in ("3/a.png", "7/b.png"):
        (tmp_path / "folders" / name).parent.mkdir(parents=True)
        (tmp_path / "folders" / name).write_bytes(png())
    found = list_images(tmp_path / "folders")
    assert [picture.label for picture in found.entries] == [3, 7]
    (tmp_path / "names").mkdir()
    for name in ("IMG_2026.png", "my_2_of_9.png", "none.png", "notes.txt"):
        (tmp_path / "names" / name).write_bytes(png())
    found = list_images(tmp_path / "names")
    assert [picture.label for picture in found.entries] == [None, 2, None]


TABLES = {
    "file,label\na.png,7\n": [],
    "path;digit\na.png;7\n": [],
    "file,label\na.png,12\n": ["line 2: label '12' is not 0..9"],
    "file,label\na.png,seven\n": ["line 2: label 'seven' is not 0..9"],
    "file,label\nb.png,7\na.png,7\n": ["line 2: b.png is missing"],
    "file,label\na.png,7\na.png,1\n": ["line 3: a.png stands there twice"],
    "file,label\n../a.png,7\n": ["line 2: '../a.png' is no file of the folder"],
    "file,label\n/etc/passwd,7\n": ["'/etc/passwd' is no file of the folder"],
    "file,label\na.png\n": ["line 2: label '' is not 0..9"],
    "File, Label\na.png,7\n": [],
    "file\tlabel\na.png\t7\n": [],
    "file,label\n a.png,7\n": [],
    "file,label\n\na.png,7\nnope.png,7\n": ["line 4: nope.png is missing"],
    "file,label\na.png,7\n./a.png,7\n": ["line 3: a.png stands there twice"],
}


@pytest.mark.parametrize("content", TABLES)
def test_labels_csv_is_read_and_what_is_wrong_named_by_line(tmp_path, content):
    seven().save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(content)
    found = list_images(tmp_path)
    assert len(found.problems) == len(TABLES[content])
    for said, expected in zip(found.problems, TABLES[content], strict=True):
        assert expected in said and "labels.csv" in said
    good = re.findall(r"^ ?a\.png[,;\t]7$", content, re.MULTILINE)
    assert [picture.label for picture in found.entries] == [7] * len(good)


def test_a_name_with_a_line_end_is_found_through_labels_csv(tmp_path):
    names = ["new\nline.png", "odd\u2028line.png"]
    for name in names:
        (tmp_path / name).write_bytes(png())
    lines = "".join(f'"{name}",7\n' for name in names)
    (tmp_path / "labels.csv").write_text(f"file,label\n{lines}", "utf-8")
    found = list_images(tmp_path)
    assert [picture.path.name for picture in found.entries] == names


def test_pictures_that_have_no_label_where_others_do_are_counted(tmp_path):
    for name in ("3/a.png", "5.png", "6.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    assert "2 other images have none" in list_images(tmp_path).label_source
    (tmp_path / "labels.csv").write_text("file,label\n5.png,5\n")
    assert "1 other images have none" in list_images(tmp_path).label_source


def test_a_file_far_larger_than_a_picture_is_refused_unread(tmp_path):
    (tmp_path / "x.png").write_bytes(png())
    os.truncate(tmp_path / "x.png", 2**31)  # sparse: takes no room
    with pytest.raises(ValueError, match=r"x\.png is larger than"):
        read_image(tmp_path / "x.png")
    (tmp_path / "labels.csv").write_text("file,label\n")
    os.truncate(tmp_path / "labels.csv", 2**31)
    with pytest.raises(ValueError, match=r"labels\.csv is no file of up to"):
        list_images(tmp_path)


NO_TABLES = [b"", b"\xff\xfe", b"a,b\n1,2\n", b"\x00\x00", b"file,label\n"]
NO_TABLES += [b"file,label\n" + b"a,1\n" * 100_001]


@pytest.mark.parametrize("content", NO_TABLES, ids=range(len(NO_TABLES)))
def test_a_labels_csv_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"labels\.csv (needs|can't be|is no UTF-8)"):
        list_images(tmp_path)


def test_a_place_without_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        list_images(tmp_path)
    with pytest.raises(ValueError, match="nowhere is missing"):
        list_images(tmp_path / "nowhere")
