"""A run trained once more, as a process, and compared."""

import json

import pytest

from pipeline.datasets import file_sha256

DIGITS = ["dataset=digits", "epochs=2", "hidden=8"]


@pytest.fixture(scope="module")
def once(empty_project):
    """A project in which a network was trained."""
    made = empty_project("once")
    made.run("train", *DIGITS)
    return made


def run_of(project, folder):
    return json.loads((project.outputs / folder / "run.json").read_text())["run_id"]


def run_in_store(project, run_id):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}").get_run(run_id)


def test_a_run_is_rebuilt_to_the_same_bytes(once):
    before = {path: file_sha256(path) for path in once.trained("").iterdir()}
    done = once.run("train", f"reproduce={run_of(once, 'train')}")
    expected = file_sha256(once.trained("model.safetensors"))
    (line,) = [line for line in done.stdout.splitlines() if "reproduced" in line]
    assert line.count(expected) == 2
    rebuilt = once.outputs / "reproduce" / "model.safetensors"
    assert file_sha256(rebuilt) == expected
    assert {path: file_sha256(path) for path in once.trained("").iterdir()} == before
    again = run_in_store(once, run_of(once, "reproduce"))
    assert again.info.status == "FINISHED"
    assert again.info.run_name == "hidden=8 seed=1 dataset=digits epochs=2 again"
    assert again.data.tags["reproduces"] == run_of(once, "train")
    assert again.data.tags["reproduced"] == "true"


def test_other_code_is_trained_and_what_differs_is_named(once):
    loop = once.root / "pipeline" / "loop.py"
    kept = loop.read_text()
    loop.write_text(kept.replace("1e-7", "1e-3"))
    done = once.run("train", f"reproduce={run_of(once, 'train')}", status=1)
    loop.write_text(kept)
    assert file_sha256(once.trained("model.safetensors")) in done.stderr
    assert "of 6,370 differ, by" in done.stderr  # 784*8 + 8 + 8*10 + 10
    assert "val/accuracy: " in done.stderr
    assert "code: pipeline/loop.py\n" in done.stderr
    again = run_in_store(once, run_of(once, "reproduce"))
    assert again.data.tags["reproduced"] == "false"


def test_a_flipped_byte_in_the_data_is_refused_by_name(once):
    path = once.outputs / "data" / "digits.safetensors"
    kept = path.read_bytes()
    path.write_bytes(kept[:50_000] + bytes([kept[50_000] ^ 1]) + kept[50_001:])
    done = once.run("train", f"reproduce={run_of(once, 'train')}", status=1)
    path.write_bytes(kept)
    assert f"error: {path} has sha256" in done.stderr
    assert "python -m pipeline.data dataset=digits makes it anew" in done.stderr


def test_a_run_that_is_unknown_is_refused(once):
    done = once.run("train", "reproduce=1234e567", status=1)
    assert "mlflow.db has no run '1234e567'" in done.stderr
