"""Packages import in one direction, and one package uses each large library."""

import ast
from pathlib import Path

import pytest

from pipeline.__main__ import STAGES

PIPELINE = Path(__file__).resolve().parent.parent / "pipeline"

# The packages that each package may import.
MAY_IMPORT = {
    "plots": set(),
    "images": set(),
    "tracking": set(),
    "cli": {"datasets", "tracking"},  # they check names and addresses
    "datasets": {"plots"},  # two plots belong to the file of a data set
    "model": {"datasets"},
    "training": {"datasets", "model", "plots", "tracking"},
    "evaluation": {"datasets", "images", "model", "plots"},
    "interpret": {"datasets", "model", "plots"},
    "deploy": {"datasets", "interpret", "model", "plots", "sweeps", "training"},
    "sweeps": {"cli", "datasets", "model", "plots", "tracking", "training"},
}
# Modules that every package may use; they import nothing but one another.
SHARED = ["__init__", "files", "paths", "process", "terminal"]
LIBRARIES = {
    "hydra": "cli",
    "matplotlib": "plots",
    "mlflow": "tracking",
    "optuna": "sweeps",
}
MODULES = sorted(PIPELINE.rglob("*.py"))


def imports(path):
    """Yield every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert not any(name.startswith("pipeline") for name in names), (
                "tracking/sources.py follows `from pipeline... import`"
            )
            yield from names
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.names[0].name != "*", "tracking/sources.py follows names"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(path):
    """Return the package of a module, or the name of a module beside the packages."""
    return path.relative_to(PIPELINE).with_suffix("").parts[0]


def test_every_module_is_in_a_package_or_a_stage():
    existing = {package_of(path) for path in MODULES}
    assert existing == {*MAY_IMPORT, *STAGES, *SHARED, "__main__"}


@pytest.mark.parametrize("package", [*MAY_IMPORT, *SHARED])
def test_packages_import_in_one_direction(package):
    imported = {
        name.split(".")[1]
        for path in MODULES
        if package_of(path) == package
        for name in imports(path)
        if name.startswith("pipeline.")
    }
    others = imported & {*MAY_IMPORT, *STAGES, "__main__"} - {package}
    assert others <= MAY_IMPORT.get(package, set())


def test_stages_import_no_other_stage():
    for stage in STAGES:
        names = {*imports(PIPELINE / f"{stage}.py")}
        assert not names & {f"pipeline.{other}" for other in STAGES}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_used_by_one_package(library):
    users = {
        package_of(path)
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == {LIBRARIES[library]}
