"""Nothing from outside runs code or reaches the terminal unfiltered."""

import ast
import os
import re
import subprocess
import sys

import pytest

from pipeline.base import paths

MODULES = sorted((paths.PACKAGE).rglob("*.py"))
FORBIDDEN = {"pickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
FORBIDDEN |= {"torch.load", "np.load", "joblib.load", "pd.read_pickle", "allow_pickle"}
FORBIDDEN |= {"eval", "exec", "__import__", "compile", "shell"}
ESCAPE = "\x1b[2J\x07\x9b31m"  # clears the screen, rings, turns red

MAY_UNPICKLE = """
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION as switch
from pipeline.base.process import run_command
print(switch.get(), flush=True)  # MLflow's default
run_command(lambda: print(switch.get()), name="train")
"""


def test_no_module_can_unpickle_data_or_run_code_from_text():
    for path in MODULES:
        text = path.read_text()
        nodes = [*ast.walk(ast.parse(text))]
        used = [n for n in nodes if isinstance(n, ast.Attribute | ast.Name)]
        names = {ast.unparse(node) for node in used}
        names |= {str(node.arg) for node in nodes if isinstance(node, ast.keyword)}
        names |= {*re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE)}
        if path.stem == "helper_process":  # its messages come from this program
            names.remove("pickle")
        assert not names & FORBIDDEN, path
        # MLflow's function runs what is pickled in a model.
        assert not [name for name in names if name.endswith("load_model")], path


def test_mlflow_does_not_unpickle_in_a_command():
    variable = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"  # set by other tests
    environment = {key: x for key, x in os.environ.items() if key != variable}
    command = [sys.executable, "-c", MAY_UNPICKLE]
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed == "True\nFalse\n"


def test_file_names_and_values_cannot_control_the_terminal(finished, tmp_path):
    folder = tmp_path / f"set{ESCAPE}"
    folder.mkdir()
    (folder / f"3{ESCAPE}.png").write_bytes(b"not an image")
    (folder / "labels.csv").write_text(f"file,label\n7{ESCAPE}.png,{ESCAPE}\n")
    commands = {  # the exit status of each
        ("predict", f"images={folder}"): 1,
        ("evaluate", f"sets=[{folder}]", "tracking=none"): 1,
        ("evaluate", f"model={folder}", "tracking=none"): 1,
        ("inspect", f"run={ESCAPE}"): 1,
        ("train", f"dataset={folder}"): 1,
        ("train", f"dataset={ESCAPE}"): 2,
        ("train", f"hidden={ESCAPE}"): 2,
        ("train", "-m", f"dataset={folder}", "seed=1,2"): 1,
        ("train", f"{ESCAPE}=1"): 2,
        ("train", f"server={ESCAPE}"): 2,
    }
    done = finished.run_all(commands)
    output = done.stdout + done.stderr
    assert not [c for c in output.replace("\n", "") if not c.isprintable()]
    assert "Traceback" not in output


def test_the_name_of_an_experiment_cannot_control_the_terminal(project, monkeypatch):
    class Stop(BaseException):
        """Ends a training run after its first epoch."""

    def stop(epoch):
        raise Stop

    options = {"dataset": "digits", "epochs": 2}
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"a{ESCAPE}")
    with pytest.raises(Stop):
        project.call("train", on_epoch=stop, **options)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    # The variable and the setting have the same rule, so this is the same experiment.
    printed = project.call("train", experiment_name=f"a{ESCAPE}", **options)
    assert "after epoch 1 of 2 in experiment a\ufffd" in " ".join(printed.split())
    assert not [c for c in printed.replace("\n", "") if not c.isprintable()]
