"""Finds the source files on which a result depends, and computes their hashes.

These are the files that a module imports, directly or indirectly. A name that a package
re-exports leads to the module that defines it, so importing a package does not add all
modules of the package.
"""

import ast
import functools
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from pipeline import files
from pipeline.paths import PACKAGE, ROOT

# Modules and packages that do not change results: settings, recording, printed text.
NO_RESULT = frozenset(
    {"cli", "paths", "sweeps", "terminal", "tracking"}
    | {"evaluation/text", "interpret/text", "model/export", "training/terminal"}
    | {"deploy/text"}
    # Checks of what was written:
    | {"deploy/host", "deploy/emulators", "deploy/cores", "deploy/toolchains"}
    | {"training/identity", "training/interrupt"}
    | {"training/recorder", "training/reproduction"}
)
# Modules and packages that do not change the weights. The data are identified by their
# hash, so the code that prepares them does not count. `Dataset.read`, which reads them,
# does.
NO_WEIGHTS = NO_RESULT | {"plots", "datasets/prepare", "datasets/registry"}
# Before Python 3.11.8 and 3.12.2, parsing in two threads at once can raise SystemError:
# https://github.com/python/cpython/issues/106905
_parsing = threading.Lock()


def training_hashes() -> dict[str, str]:
    """Return the sha256 of each source file that shapes a trained network."""
    alone = source_hashes("pipeline.train", without=NO_WEIGHTS)
    return alone | source_hashes("pipeline.training.task", without=NO_WEIGHTS)


@functools.cache  # a process does not see later edits of the modules it has imported
def source_hashes(start: str, *, without: Collection[str]) -> dict[str, str]:
    """Return the sha256 of each file of `source_files` by its path."""
    paths = source_files(start, without=without)
    return {p.relative_to(ROOT).as_posix(): files.file_sha256(p) for p in paths}


def source_files(start: str, *, without: Collection[str]) -> list[Path]:
    """Return the files of a module and of all modules that it imports, sorted.

    Modules and packages in `without`, such as "plots" or "training/terminal", are not
    followed.
    """
    reached: set[Path] = set()
    waiting = [_file(start)]
    while waiting:
        path = waiting.pop()
        if path is None or path in reached:
            continue
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if not any(f"{module}/".startswith(f"{part}/") for part in without):
            reached.add(path)
            waiting += _imports(path)
    return sorted(reached)


def _file(module: str) -> Path | None:
    """Return the file of a module or package of this project; None for others."""
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.exists()), None)


@functools.cache
def _imports(path: Path) -> list[Path | None]:
    """Return the files that define what a module imports from this project."""
    imported: list[Path | None] = []
    nodes = _nodes(path)
    attributes = [
        (ast.unparse(node.value), node.attr)  # such as ("pipeline.model", "Network")
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, (ast.Name, ast.Attribute))
    ]
    for module, name, alias in _imported_names(nodes):
        inner = _file(f"{module}.{name}")
        if inner and inner.stem == "__init__":  # a package: follow what is used of it
            used = {attribute for owner, attribute in attributes if owner == alias}
            imported += [_definition(f"{module}.{name}", each) for each in used]
        else:
            imported.append(_definition(module, name))
    return imported


def _definition(module: str, name: str) -> Path | None:
    """Return the file that defines a name, which a package may only re-export."""
    path = _file(f"{module}.{name}") or _file(module)
    if path and path.stem == "__init__" and path.parent != PACKAGE:
        for origin, original, alias in _imported_names(_nodes(path)):
            if alias == name:
                return _definition(origin, original)
    return path


def _imported_names(nodes: list[ast.AST]) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and local name of each `from pipeline... import`."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            if module.split(".")[0] == PACKAGE.name:
                for alias in node.names:
                    yield module, alias.name, alias.asname or alias.name


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    """Return the syntax tree of a module, without imports for annotations only."""
    with _parsing:
        tree = ast.parse(path.read_text())
    nodes, waiting = [], [*ast.iter_child_nodes(tree)]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            nodes.append(node)
            waiting += ast.iter_child_nodes(node)
    return nodes
