"""The files on which a result depends are found by imports; see also test_dvc.py."""

import ast

import pytest

from pipeline.tracking import sources


@pytest.mark.parametrize(
    ("imports", "reached"),
    [
        ("from pipeline import SIDE", {"__init__.py"}),
        ("from pipeline.images import ink", {"images/ink.py"}),
        ("from pipeline.images import read as other", {"images/reading.py"}),
        ("from pipeline import images\nimages.read", {"images/reading.py"}),
        ("def f():\n from pipeline.images import read", {"images/reading.py"}),
        ("if TYPE_CHECKING:\n from pipeline.images import read", set()),
    ],
)
def test_an_import_leads_to_the_module_that_defines_a_name(
    small_package, imports, reached
):
    (small_package / "training" / "loop.py").write_text(imports)
    found = sources.source_files("pipeline.training.loop", without=sources.NO_WEIGHTS)
    paths = {path.relative_to(small_package).as_posix() for path in found}
    assert paths == {"training/loop.py"} | reached


def test_packages_only_re_export_names():
    """Their `__init__.py` are not dependencies, so they must not compute anything."""
    for path in sources.PACKAGE.glob("*/**/__init__.py"):
        docstring, *others = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        assert all(isinstance(node, ast.ImportFrom) for node in others), path
