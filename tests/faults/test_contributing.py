"""CONTRIBUTING is sufficient to make the changes in `tests/contributing/`.

The changes are applied to two clones, in which the checks of CONTRIBUTING run.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]
PATCHES = ROOT / "tests" / "contributing"
RENEW = """{path} does not apply any more. In a clone, run
  git apply --3way {path}
resolve the conflicts, and store the output of git diff -U1 HEAD in this file.
{error}"""
QUICK = ["tests/test_architecture.py", "tests/cli/test_config.py", "tests/test_dvc.py"]
QUICK += [
    "tests/test_security.py::test_no_module_can_unpickle_data_or_run_code_from_text"
]
# These tests start processes that import everything again, or are slow and unrelated to
# the changes of the patches.
SLOW = ("share_of_the_errors", "edited_after_its_import", "a_new_data_set_needs")
SLOW += ("damaged_file_or_summary", "statistics_of_mnist", "imported_data_set")
QUICK += ["-k", f"not ({' or '.join(SLOW)})"]
TWO_LAYERS = (
    "model.safetensors has 3 layers (784 -> 20 -> 20 -> 10): "
    "inspect and export work only with two layers"
)


@dataclass(frozen=True)
class Change:
    """What CONTRIBUTING says about a change."""

    tests: tuple[str, ...]  # tests of the changed packages
    training: str = ""  # settings that use the change
    rejected: dict[str, str] = field(default_factory=dict)  # commands, ends of errors
    command: str = ""  # another command that works


CHANGES = {
    "data_set": Change(("tests/datasets/test_scikit_learn.py",), "dataset=upside_down"),
    "metric": Change(("tests/core/test_network.py",)),
    "optimizer": Change(
        ("tests/core", "tests/training/test_checkpoints.py"),
        "optimizer=sgd momentum=0.9 lr=0.01",
        {
            "train momentum=0.9": "momentum has no effect with optimizer=adam: add "
            "optimizer=sgd, got 0.9 (the default is momentum=0.0)"
        },
    ),
    "layer": Change(
        ("tests/core", "tests/training/test_checkpoints.py"),
        "dataset=digits",
        rejected=dict.fromkeys(
            (
                "inspect",
                "inspect neuron=N11",
                "inspect against=outputs/train/model.safetensors",
                "export",
                "export bits=all",
            ),
            TWO_LAYERS,
        ),
        command="train -m epochs=1 tracking=none dataset=digits hidden=3,4",
    ),
    "stage": Change(("tests/stages/test_baseline.py",), command="baseline"),
    "executor": Change(
        ("tests/execution/test_pool.py", "tests/cli/test_arguments.py"),
        command="train -m epochs=1 dataset=digits executor=pool seed=1,2 tracking=none",
    ),
    "reason": Change(("tests/model/test_ood.py", "tests/interpret/test_page.py")),
    "part": Change(("tests/interpret/test_page.py",)),
    "question": Change(("tests/teaching/test_questions.py",)),
    "augmentation": Change(
        ("tests/core", "tests/training/test_checkpoints.py"),
        "shift=2",
        {"train shift=3": "shift must be at most 2, got 3 (the default is shift=0)"},
    ),
}


# The changes of each clone. Every clone checks the whole project again, so there are
# only two: an optimizer and an augmentation change the same lines, and the pages do not
# work with another layer.
CLONES = [
    ("data_set", "metric", "stage", "reason", "part", "question", "augmentation"),
    ("optimizer", "layer", "executor"),
]


@pytest.fixture(scope="module", params=CLONES, ids="-".join)
def changed(request, tmp_path_factory, clone_project):
    """A clone with the changes that have these names; its outputs have the data."""
    root = tmp_path_factory.mktemp("changed") / "clone"
    workspace = clone_project(root)
    patches = [PATCHES / f"{name}.patch" for name in request.param]
    for path in patches:  # apply each patch alone
        command = ["git", "apply", "--check", str(path)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(RENEW.format(path=path.relative_to(ROOT), error=done.stderr))
    subprocess.run(["git", "apply", *patches], cwd=root, check=True)
    (workspace.outputs / "data").mkdir(parents=True)
    for source in (ROOT / "outputs" / "data").glob("mnist*"):
        (workspace.outputs / "data" / source.name).symlink_to(source)
    return workspace


def run(workspace, *commands, rejected=()):
    """Run stages of a clone in one process; return what they print, and the errors."""
    root, statuses = workspace.outputs.parent, dict.fromkeys(commands, 0)
    for command in rejected:
        statuses[command] = 2 if command.startswith("train") else 1
    tuples = {tuple(command.split()): statuses[command] for command in statuses}
    done = workspace.run_all(tuples, cwd=root, PYTHONPATH=str(root))
    return done.stdout, done.stderr


def start(root, *command, **environment):
    """Start a check in a clone."""
    environment |= {"PYTHONPATH": str(root), "PIPELINE_OUTPUTS": ""}
    return subprocess.Popen(
        command,
        cwd=root,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_each_patch_is_tested():
    patches = [path.stem for path in PATCHES.glob("*.patch")]
    assert sorted(patches) == sorted(CHANGES) == sorted(chain(*CLONES))


def test_changes_pass_the_checks_of_contributing_and_their_stages_work(
    changed, finished, request
):
    changes = [CHANGES[name] for name in request.node.callspec.params["changed"]]
    root = changed.outputs.parent
    # The tests run at the same time as the stages. mypy would take a minute in a clone.
    tests = dict.fromkeys(chain(*(change.tests for change in changes)))
    command = [sys.executable, "-m", "pytest", "-q", *QUICK, *tests]
    is_shifted = CHANGES["augmentation"] in changes
    # `inspect` rejects the network of a clone with three layers. A network that was
    # trained before a hyperparameter was added cannot be loaded.
    given = "" if is_shifted else str(finished.outputs)
    checks = [start(root, *command, FINISHED=given)]
    if shutil.which("ruff"):  # the extra `dev` installs it
        for command in ("format --check .", "check ."):
            checks.append(start(root, "ruff", *command.split()))
    training = " ".join(change.training for change in changes)
    commands = [f"train epochs=2 tracking=none {training}"]
    commands += ["evaluate tracking=none", "predict images=0"]
    commands += [change.command for change in changes if change.command]
    commands += ["inspect tracking=none"] * is_shifted
    rejected = dict(chain(*(change.rejected.items() for change in changes)))
    printed, errors = run(changed, *commands, rejected=rejected)
    assert "the network predicts" in printed and "Traceback" not in errors
    messages = [*rejected.values()]
    for message in messages:
        lines = [line for line in errors.splitlines() if line.endswith(message)]
        assert len(lines) == messages.count(message)
    if (
        is_shifted
    ):  # inspect does not report a weight as frozen if a shifted image changed it
        summary = changed.read("inspect/summary.json")
        assert 0 < summary["weights_of_always_zero_pixels"] <= summary["frozen_weights"]
    for each in checks:
        printed, _ = each.communicate()
        assert each.returncode == 0, printed


@pytest.mark.parametrize("changed", [CLONES[1]], indirect=True)
def test_training_with_another_optimizer_resumes_after_a_kill_byte_identically(
    changed,
):
    root = changed.outputs.parent
    settings = f"dataset=digits {CHANGES['optimizer'].training}"
    training = f"train epochs=100 tracking=none {settings}"
    run(changed, training)
    expected = changed.hashes("train")
    environment = {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    process = changed.start(*training.split(), cwd=root, **environment)
    while not process.stdout.readline().startswith("    9 "):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    resumed, _ = run(changed, training)
    assert "after epoch" in " ".join(resumed.split())
    different = expected.items() ^ changed.hashes("train").items()
    assert {path for path, _ in different} == {"train/run.json"}
