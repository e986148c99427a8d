"""The files on which a result depends are found from the imports of its module."""

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


def places(start, without=sources.NO_WEIGHTS):
    paths = sources.source_files(start, without=without)
    return {path.relative_to(sources.PACKAGE).as_posix() for path in paths}


def test_the_loop_depends_on_the_network_its_metrics_and_the_split():
    loop = {"__init__.py", "datasets/dataset.py", "training/loop.py"}
    assert places("pipeline.training.loop") == loop | {
        "model/metrics.py",
        "model/network.py",
    }


def test_a_training_run_depends_on_no_plot_no_record_and_no_setting():
    training = places("pipeline.train")
    assert places("pipeline.training.loop") < training
    assert {"train.py", "training/recorder.py", "model/ood.py"} < training
    folders = {place.partition("/")[0] for place in training}
    assert not folders & {"cli", "plots", "sweeps", "tracking"}
    assert {place for place in training if place.startswith("datasets/")} == {
        "datasets/dataset.py"
    }


def test_packages_only_re_export_names():
    """Their `__init__.py` are no dependencies, so they must not compute anything."""
    for path in sources.PACKAGE.glob("*/**/__init__.py"):
        docstring, *others = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        assert all(isinstance(node, ast.ImportFrom) for node in others), path


def test_a_package_without_its_repository_has_the_same_hashes_until_code_changes(
    copy_package, tmp_path
):
    copy = copy_package(tmp_path)

    def hashes():
        command = [sys.executable, "-c", PRINT_HASHES]
        return json.loads(subprocess.check_output(command, cwd=tmp_path, text=True))

    assert hashes() == sources.training_hashes()
    for module in ("plots/training.py", "training/loop.py"):
        with (copy / module).open("a") as stream:
            stream.write("# another line\n")
    changed = hashes().items() ^ sources.training_hashes().items()
    assert {name for name, _ in changed} == {"pipeline/training/loop.py"}
