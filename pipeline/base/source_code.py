"""Hashes of source code without comments, docstrings and blank lines.

Of a statement such as `raise UserError("text")`, only `raise UserError` counts, which
ends at the first parenthesis, because existing results do not depend on error messages.

The text is hashed, and not a syntax tree, because Python versions print trees
differently.
"""

import hashlib
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from io import StringIO
from itertools import groupby
from pathlib import Path

FORMATTED = re.compile("[a-z]*f", re.IGNORECASE)  # the start of f"..." and rf"..."
BETWEEN = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}  # between statements
UNHASHED = {tokenize.COMMENT, tokenize.NL}


class ImportedCode:
    """The code of modules as this process has imported them, without later edits.

    Each object is a constant, so that it reads its modules during the import.
    """

    def __init__(self, *paths: Path | str) -> None:
        """Read modules of different names; a folder stands for its modules."""
        self._paths = [*map(Path, paths)]
        self._sources = self._read()

    def _read(self) -> dict[str, bytes]:
        modules: list[Path] = []
        for path in self._paths:  # editors create hidden files
            modules += sorted(path.glob("[!.]*.py")) if path.is_dir() else [path]
        return {module.name: module.read_bytes() for module in modules}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The `code_sha256` of each module, by file name."""
        return _hashes(self._sources)

    @cached_property
    def sha256(self) -> str:
        """A hash of all modules, which changes if the code of a module changes."""
        hashes = "".join(self.hashes.values())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def was_edited(self) -> bool:
        """Return whether the code in the files has changed."""
        sources = self._read()
        return sources != self._sources and _hashes(sources) != self.hashes


def _hashes(sources: Mapping[str, bytes]) -> dict[str, str]:
    return {name: code_sha256(source) for name, source in sources.items()}


def code_sha256(source: bytes) -> str:
    """Return the hash of a module's code."""
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
    for statement in _statements(tokens):
        first, last = statement[0], statement[-1]
        if first is last and _is_text(first):  # such as a docstring
            unused.update(range(first.start[0], first.end[0] + 1))
        parentheses = [token.start for token in statement if token.string == "("]
        if first.string == "raise" and parentheses:
            row, column = parentheses[0]
            lines[row - 1] = lines[row - 1][:column]
            unused.update(range(row + 1, last.end[0] + 1))
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in unused)


def _statements(
    tokens: Iterable[tokenize.TokenInfo],
) -> Iterator[list[tokenize.TokenInfo]]:
    """Yield the tokens of each statement; a block has several statements."""
    code = (token for token in tokens if token.type not in UNHASHED)
    for is_between, group in groupby(code, lambda token: token.type in BETWEEN):
        if not is_between:
            yield [*group]


def _is_text(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING and not FORMATTED.match(token.string)


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
