"""The files on which a result depends are found by imports; see also test_dvc.py."""

import ast
import gc
import time
from concurrent.futures import ThreadPoolExecutor

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


def test_two_threads_can_find_the_files_at_once():
    """The callback of the garbage collector lets the other thread continue.

    Without the lock, this can fail before Python 3.11.8 and 3.12.2 only, where threads
    cannot call ast.parse at once.
    """
    thresholds = gc.get_threshold()
    gc.callbacks.append(lambda *_: time.sleep(0))
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor() as threads:
            for _ in range(3):
                sources._imports.cache_clear()
                sources._nodes.cache_clear()
                calls = [
                    threads.submit(sources.source_files, "pipeline.train", without=())
                    for _ in range(2)
                ]
                first, second = (call.result() for call in calls)
                assert first == second
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.pop()
