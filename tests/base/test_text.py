from pathlib import Path

import pytest

from pipeline.base.text import format_bytes, printable, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 ü' 数字 e\u0301😀; x = 1", "7 ü' 数字 e\u0301😀; x = 1"),
        ("\x1b[2Jgone", "?[2Jgone"),  # clears the screen
        ("\x1b]0;title\x07", "?]0;title?"),
        ("over\rwritten\n", "over?written?"),
        ("\x9b31m", "?31m"),  # as \x1b[ in one character
        ("gnp.\u202e7", "gnp.?7"),  # reverses the direction of text
        ("over\u2028written\u2029", "over?written?"),  # line and paragraph separator
        ("9.41\u202fAM\u00a0\u3000.png", "9.41\u202fAM\u00a0\u3000.png"),  # spaces
        ("\udcff.png", "?.png"),  # a byte that is not UTF-8
    ],
)
def test_control_characters_are_replaced(text, expected):
    assert printable(Path(text)) == expected.replace("?", "\ufffd")


def test_a_long_name_keeps_its_start_and_its_end():
    assert shortened("7_a.png", 7) == "7_a.png"
    assert shortened("7_sheet-on-table.jpg", 9) == "7_sh\u2026.jpg"
    assert shortened("7_sheet-on-table.jpg", 8) == "7_s\u2026.jpg"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (400_000, "400 kB"),
        (999_999, "1 MB"),
        (999_499_999, "999 MB"),
        (999_999_999, "1.0 GB"),
        (3_210_000_000, "3.2 GB"),
    ],
)
def test_a_size_is_rounded_before_its_unit_is_chosen(size, text):
    assert format_bytes(size) == text
