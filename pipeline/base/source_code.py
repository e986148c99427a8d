"""Hashes of source code, in which comments, docstrings and blank lines do not count.

Of a statement such as `raise UserError("text")`, only the word `raise` counts, because
results that exist do not depend on the texts of errors.

The text is hashed, and not a syntax tree, because Python versions print trees
differently.
"""

import hashlib
import re
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

FORMATTED = re.compile("[a-z]*f", re.IGNORECASE)  # the start of f"..." and rf"..."
STARTS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}  # before a statement


def modules_sha256(*paths: Path | str) -> str:
    """Return a hash of modules, which changes if the code of a module changes.

    Callers keep the hash in a constant, which is computed when the module of the caller
    is imported, because a process does not see later edits of its modules.
    """
    hashes = "".join(code_sha256(Path(path).read_bytes()) for path in paths)
    return hashlib.sha256(hashes.encode()).hexdigest()


def code_sha256(source: bytes) -> str:
    """Return the hash of a module's code, in 1 ms for 100 lines."""
    # A module that is not valid Python is hashed as it is.
    with suppress(tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        source = _code(source.decode()).encode()
    return hashlib.sha256(source).hexdigest()


def _code(source: str) -> str:
    """Return only the parts of source code that are hashed."""
    source = re.sub("\r\n?", "\n", source)  # as Python reads a module
    # The rows of tokens: splitlines() would also split at a form feed or U+2028.
    lines, unused = source.removesuffix("\n").split("\n"), set[int]()
    tokens = [*_tokens(source)]
    for token in tokens:
        (row, column), is_comment = token.start, token.type == tokenize.COMMENT
        if is_comment:
            lines[row - 1] = lines[row - 1][:column].rstrip()
        if is_comment or token.type == tokenize.NL:  # not in a text of several lines
            unused |= set() if lines[row - 1].strip() else {row}
    kept = [x for x in tokens if x.type not in (tokenize.COMMENT, tokenize.NL)]
    starts = [tokenize.NEWLINE, *(token.type for token in kept)]
    raised: tuple[int, int] | None = None  # the end of the word in a raise statement
    for before, token, after in zip(starts, kept, kept[1:], strict=False):
        is_statement = before in STARTS and after.type == tokenize.NEWLINE
        is_text = token.type == tokenize.STRING and not FORMATTED.match(token.string)
        if is_text and is_statement:  # such as a docstring
            unused.update(range(token.start[0], token.end[0] + 1))
        if before in STARTS and token.string == "raise":
            raised = token.end
        if raised and token.type == tokenize.NEWLINE:
            row, column = raised
            lines[row - 1] = lines[row - 1][:column]
            unused.update(range(row + 1, token.start[0] + 1))
            raised = None
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in unused)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens, but only the first token of a formatted string.

    Until Python 3.11, a formatted string is a single token.
    """
    depth = 0
    for token in tokenize.generate_tokens(StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        depth -= name == "FSTRING_END"
        if not depth:
            yield token
        depth += name == "FSTRING_START"
