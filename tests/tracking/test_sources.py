"""The files on which a result depends are found by imports; see also test_dvc.py."""

import ast
import json
import subprocess
import sys

from pipeline.tracking import sources

PRINT_HASHES = """
import json
from pipeline.tracking import sources

print(json.dumps(sources.training_hashes()))
"""


def printed_hashes(folder):
    """Return the hashes that a new process computes for the package in a folder."""
    command = [sys.executable, "-c", PRINT_HASHES]
    return json.loads(subprocess.check_output(command, cwd=folder, text=True))


def test_the_loop_depends_on_the_network_its_metrics_and_the_split():
    paths = sources.source_files("pipeline.training.loop", without=sources.NO_WEIGHTS)
    assert {path.relative_to(sources.PACKAGE).as_posix() for path in paths} == {
        *("__init__.py", "datasets/dataset.py", "training/loop.py"),
        *("model/metrics.py", "model/network.py"),
    }


def test_every_form_of_import_leads_to_the_module_that_defines_a_name(
    copy_package, tmp_path
):
    copy_package(tmp_path)
    loop = tmp_path / "pipeline" / "training" / "loop.py"
    for added, found in {
        "import pipeline.interpret.names": "interpret/names",
        "import pipeline.images.ink as ink": "images/ink",
        "import pipeline.images\npipeline.images.read_image": "images/reading",
        "import pipeline\npipeline.SIDE": "__init__",
    }.items():
        loop.write_text(f"{loop.read_text()}\n{added}\n")
        assert f"pipeline/{found}.py" in printed_hashes(tmp_path)


def test_packages_only_re_export_names():
    """Their `__init__.py` are not dependencies, so they must not compute anything."""
    for path in sources.PACKAGE.glob("*/**/__init__.py"):
        docstring, *others = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        assert all(isinstance(node, ast.ImportFrom) for node in others), path


def test_a_package_without_its_repository_has_the_same_hashes(copy_package, tmp_path):
    copy_package(tmp_path)
    assert printed_hashes(tmp_path) == sources.training_hashes()
