"""Hashes of source code, without what does not affect the results of the code.

Comments, docstrings and the format do not count. In a statement such as
`raise UserError("text") from error`, only `raise UserError` counts, because existing
results do not depend on error messages.

`ast.dump` is not used, because its text depends on the version of Python.
"""

import ast
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path


class ImportedCode:
    """The code of modules as this process has imported them, without later edits.

    Each object is a constant, so that it reads its modules during the import.
    """

    def __init__(self, *paths: Path | str) -> None:
        """Read modules of different names; a folder stands for its modules."""
        self._paths = [*map(Path, paths)]
        self.sources = self._read()

    def _read(self) -> dict[str, bytes]:
        modules: list[Path] = []
        for path in self._paths:  # editors create hidden files
            modules += sorted(path.glob("[!.]*.py")) if path.is_dir() else [path]
        return {module.name: module.read_bytes() for module in modules}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The `code_sha256` of each module, by file name."""
        return _hashes(self.sources)

    @cached_property
    def sha256(self) -> str:
        """A hash of all modules, which changes if the code of a module changes."""
        hashes = "".join(self.hashes.values())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def was_edited(self) -> bool:
        """Return whether the code in the files has changed."""
        sources = self._read()
        return sources != self.sources and _hashes(sources) != self.hashes


def _hashes(sources: Mapping[str, bytes]) -> dict[str, str]:
    return {name: code_sha256(source) for name, source in sources.items()}


def code_sha256(source: bytes) -> str:
    """Return the hash of a module's code."""
    # A module that is not valid Python is hashed as it is.
    with suppress(SyntaxError, ValueError):  # in Python 3.11, a null is a ValueError
        source = _as_text(ast.parse(source)).encode()
    return hashlib.sha256(source).hexdigest()


def _as_text(node: object) -> str:
    """Return the parts of a syntax tree that are hashed, in ASCII.

    Empty fields are left out, because later versions of Python add such fields.
    """
    if isinstance(node, list):
        return f"[{', '.join(_as_text(item) for item in node if not _is_text(item))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        node = ast.Raise(node.exc.func)
    fields = (
        f"{name}={_as_text(value)}"
        for name, value in ast.iter_fields(node)
        if value not in (None, [])
    )
    return f"{type(node).__name__}({', '.join(fields)})"


def _is_text(node: object) -> bool:
    """Return whether a node is a statement that is only text, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
