"""Plain text: paragraphs, commands to type, names, printable characters."""

import hashlib
import os
import re
import shlex
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 80  # columns of help, of paragraphs and of tables
MAX_FILE_NAME = 100  # maximum length of `as_file_name`, in bytes
# The characters that `as_file_name` keeps, for Python's regular expressions. Pydantic
# uses Rust's regular expressions, in which \w matches different characters.
NAME_CHARACTERS = r"\w-"


def printable(text: Path | str) -> str:
    """Replace control characters in text of unknown origin, such as file names.

    All spaces are kept: the name of a screenshot on macOS contains a no-break space.
    """
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else "\ufffd"
        for c in str(text)
    )


def wrap(text: str, *, indent: int = 2, start: str = "") -> str:
    """Wrap a paragraph at words to 80 columns; the first line begins with `start`.

    All other lines are indented by `indent` spaces. Line breaks in the text become
    spaces. Several spaces in sequence are kept, because a file name can contain them.
    """
    return textwrap.fill(
        " ".join(filter(None, map(str.strip, text.split("\n")))),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counted(number: int, noun: str) -> str:
    """Return a number with a noun: `1 image`, `10,000 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(fraction: float, decimals: int = 0) -> str:
    """Format a fraction; only exact values become 0% or 100%."""
    step = 10.0**-decimals
    if 0 < 100 * fraction <= step / 2:
        return f"<{step:.{decimals}f}%"
    if 100 - step / 2 <= 100 * fraction < 100:
        return f">{100 - step:.{decimals}f}%"
    return f"{fraction:z.{decimals}%}"


def probability_text(probability: float, decimals: int = 1) -> str:
    """Format a probability that a softmax computed, which is never 0% or 100%.

    A probability of 0 or 1 was rounded to 32 bits.
    """
    return percent(min(max(probability, 1e-9), 1 - 1e-9), decimals)


def shortened(text: str, length: int = WIDTH) -> str:
    """Return at most `length` (at least 2) characters, without the middle part.

    The label of an image can be at the start of its name or at the end.
    """
    if len(text) <= length:
        return text
    start = (length - 1) // 2
    return f"{text[:start]}…{text[start + 1 - length :]}"


def short_id(text: str) -> str:
    """Return the prefix of a hexadecimal ID or hash that commands print."""
    return text[:8]


def alternatives(names: Sequence[str]) -> str:
    """Return names for a rule, such as "a, b or c"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def neuron_name(layer: int, index: int) -> str:
    """Return the name of a neuron of layer 1 or 2, counted from 0."""
    return f"N{layer}{index + 1}"


def as_file_name(text: str, *, allowed: str = "") -> str:
    """Return text as a part of a file name, shortened to 100 bytes.

    Only letters, digits, `_`, `-` and the characters in `allowed` are kept. Callers can
    add an ending and a hash, because file systems allow names of 255 bytes.
    """
    safe = re.sub(rf"[^{allowed}{NAME_CHARACTERS}]+", "_", text)
    return safe.encode()[:MAX_FILE_NAME].decode(errors="ignore")


def distinct_file_name(text: str, *, allowed: str) -> str:
    """Return `as_file_name` of a text, with a hash of the text if it was changed."""
    safe = as_file_name(text, allowed=allowed)
    if safe != text:
        safe += "-" + hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
    return safe


def short_name(values: Mapping[str, Any]) -> str:
    """Return varied values as text, such as "hidden=40 seed=2"."""
    return printable(" ".join(f"{key}={value}" for key, value in values.items()))


def folder_name(values: Mapping[str, Any]) -> str:
    """Return varied values as the name of a folder, such as "hidden=40,seed=2"."""
    name = ",".join(f"{key}={value}" for key, value in values.items())
    return distinct_file_name(name, allowed="=.,+")


def readable(value: Any) -> Any:  # noqa: ANN401
    """Round a float to four significant digits; return any other value unchanged."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def format_bytes(size: int) -> str:
    """Return a number of bytes in kB, MB or GB: "400 kB", "24 MB" or "3.2 GB"."""
    if size < 999.5e3:
        return f"{size / 1e3:,.0f} kB"
    return f"{size / 1e6:,.0f} MB" if size < 999.5e6 else f"{size / 1e9:,.1f} GB"


def short_repr(item: object, /, **values: object) -> str:
    """Return the representation of a result with these values, for a notebook."""
    texts = (f"{key}={readable(value)!r}" for key, value in values.items())
    return f"{type(item).__name__}({', '.join(texts)})"


def command_line(stage: str, *settings: str, **others: str | None) -> str:
    """Return a command with `settings`, and with each of `others` that has a value."""
    settings += tuple(f"{key}={value}" for key, value in others.items() if value)
    return shlex.join(["python", "-m", f"pipeline.{stage}", *settings])


def next_steps(commands: Mapping[str, str]) -> str:
    """Return lines that suggest commands and say what each command does."""
    width = max(map(len, commands))
    lines = [f"{name:{width}}   {does}" for name, does in commands.items()]
    indent = "next   "
    if len(indent) + max(map(len, lines)) > WIDTH:
        lines = [line for item in commands.items() for line in item]
        lines[1::2] = [f"  {does}" for does in lines[1::2]]
    return indent + f"\n{' ' * len(indent)}".join(lines)
