"""The files on which a result depends are found by imports; see also test_dvc.py."""

import ast

import pytest

from pipeline.tracking import sources


def paths(start):
    found = sources.source_files(start, without=sources.NO_WEIGHTS)
    return {path.relative_to(sources.PACKAGE).as_posix() for path in found}


def test_the_loop_depends_on_the_network_its_metrics_and_the_split():
    assert paths("pipeline.training.loop") == {
        *("__init__.py", "datasets/dataset.py", "training/loop.py"),
        *("model/metrics.py", "model/network.py"),
    }


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
    assert paths("pipeline.training.loop") == {"training/loop.py"} | reached


def test_packages_only_re_export_names():
    """Their `__init__.py` are not dependencies, so they must not compute anything."""
    for path in sources.PACKAGE.glob("*/**/__init__.py"):
        docstring, *others = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        assert all(isinstance(node, ast.ImportFrom) for node in others), path
