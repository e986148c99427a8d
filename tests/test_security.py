"""Nobody gets in: not by a file, a name, a configuration or a page."""

import ast
import os
import re
import socket
import tomllib

import pytest

from pipeline import tracking
from pipeline.cli import paths

MODULES = sorted((paths.ROOT / "pipeline").rglob("*.py"))
UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"}
UNPICKLE |= {"marshal"}
RUN_CODE = {"eval", "exec", "__import__", "compile"}
ESCAPE = "\x1b[2J\x07\x9b31m"  # clears the screen, rings, turns red


def attributes(tree):
    """Every a.b.c of a module, as text."""
    return {
        ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_unpickles_or_runs_what_came_from_outside(path):
    tree = ast.parse(path.read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in RUN_CODE
            assert "allow_pickle" not in {word.arg for word in node.keywords}
            shell = [word for word in node.keywords if word.arg == "shell"]
            assert not shell, "a shell would read what a person typed"
    assert not imported & UNPICKLE
    assert not attributes(tree) & {"torch.load", "np.load", "pd.read_pickle"}
    assert not {name for name in attributes(tree) if name.endswith("load_model")}


def test_no_class_or_function_is_named_by_a_configuration():
    read = [*MODULES, *(paths.CONF_DIR).rglob("*.yaml")]
    for path in read:
        assert not re.search("_target_|instantiate|get_class", path.read_text())


def test_mlflows_switch_for_pickles_is_off_where_runs_are_recorded(tmp_path):
    from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION

    os.environ.pop("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", None)
    assert MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()  # by default
    tracking._open(tmp_path)
    assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()


def test_mlflow_is_newer_than_every_version_with_a_known_hole():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    (bound,) = [line for line in project["dependencies"] if line.startswith("mlflow")]
    lower = re.match(r"mlflow>=(\d+)\.(\d+)", bound)
    assert (int(lower[1]), int(lower[2])) >= (3, 17) and "<4" in bound


def test_the_command_for_mlflows_pages_lets_in_this_machine_alone(finished, new_server):
    printed = (finished.root / "printed.txt").read_text()
    (command,) = re.findall(r"^look   (.*)$", printed, re.MULTILINE)
    page = new_server("page", typed=command)
    assert page.answers("/") == 200
    assert page.answers("/", Host="evil.example") == 403
    # Whoever listens on all addresses answers on this one too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", page.port), timeout=5)


def test_file_names_tell_the_terminal_nothing(finished, tmp_path):
    folder = tmp_path / f"set{ESCAPE}"
    folder.mkdir()
    (folder / f"3{ESCAPE}.png").write_bytes(b"no picture")
    (folder / "labels.csv").write_text(f"file,label\n7{ESCAPE}.png,{ESCAPE}\n")
    commands = [
        ["predict", f"images={folder}"],
        ["evaluate", f"sets=[{folder}]"],
        ["evaluate", f"model={folder}"],
        ["inspect", f"run={ESCAPE}"],
        ["train", f"dataset={folder}"],
        ["train", f"dataset={ESCAPE}"],
        ["train", f"hidden={ESCAPE}"],
        ["train", "-m", f"dataset={folder}", "seed=1,2"],
        ["train", f"{ESCAPE}=1"],
        ["train", f"server={ESCAPE}"],
    ]
    for command in commands:
        process = finished.start(*command)
        stdout, stderr = process.communicate(timeout=900)
        assert process.returncode in (1, 2), command
        told = (stdout + stderr).replace("\n", "")
        assert told and not [c for c in told if not c.isprintable()], command
        assert "Traceback" not in told, command
