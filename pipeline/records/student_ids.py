"""The IDs of students, and the form in which IDs and courses are compared."""

import re
import unicodedata

from pipeline.base.text import printable

MAX_ID = 64  # characters
# Letters, digits and a few symbols, because IDs appear in file names, tables and pages.
ID = re.compile(rf"^\w[\w.@+-]{{0,{MAX_ID - 1}}}\Z")


def normalize(text: str) -> str:
    """Return a text in the form in which IDs and courses are compared.

    Args:
        text: As it was typed, such as " Zoë ".

    Returns:
        The text in lower case and in Unicode's normal form C, without outer spaces.
    """
    folded = unicodedata.normalize("NFC", text).strip().casefold()
    return unicodedata.normalize("NFC", folded)


def student_id(text: str) -> str:
    """Return a normalized ID.

    Raises:
        ValueError: If the ID has characters that a file name or a table should not
            have.
    """
    if not ID.match(name := normalize(text)):
        raise ValueError(
            f"must have 1 to {MAX_ID} characters (letters, digits and . @ + - _) and "
            "begin with a letter, a digit or _"
        )
    return name


def course_code(text: str) -> str:
    """Return a normalized course code; raise a ValueError if that is empty."""
    if not (code := printable(normalize(text))):
        raise ValueError("must not be empty")
    return code
