import json

import pytest

from pipeline.datasets import file_sha256

DIGITS = {"dataset": "digits", "epochs": 2, "hidden": 8}


@pytest.fixture(scope="module")
def once(empty_project):
    """A workspace in which a network was trained."""
    made = empty_project("once")
    made.call("train", **DIGITS)
    return made


def run_id(project, folder="train"):
    return json.loads((project.outputs / folder / "run.json").read_text())["run_id"]


def run_in_store(project, run_id):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}").get_run(run_id)


def hashes(folder):
    return {path.name: file_sha256(path) for path in folder.iterdir()}


def test_a_run_is_reproduced_byte_for_byte(once):
    before = hashes(once.trained(""))
    printed = once.call("train", reproduce=run_id(once))
    (line,) = [line for line in printed.splitlines() if "reproduced byte for" in line]
    assert line.count(before["model.safetensors"]) == 2
    after = hashes(once.outputs / "reproduce")
    assert {name for name in after if after[name] != before[name]} == {"run.json"}
    assert hashes(once.trained("")) == before
    again = run_in_store(once, run_id(once, "reproduce"))
    assert again.info.status == "FINISHED"
    assert again.info.run_name == "hidden=8 seed=1 dataset=digits epochs=2 again"
    assert again.data.tags["reproduces"] == run_id(once)
    assert again.data.tags["reproduced"] == "true"


# Another epsilon, and the hash that the changed file would have.
OTHER_CODE = """
from pipeline.tracking import provenance
from pipeline.training import loop
loop.EPSILON = 1e-3
hashes = provenance.source_hashes
provenance.source_hashes = lambda stage: (
    hashes(stage) | {"pipeline/training/loop.py": "changed"}
)
"""


def test_other_code_gives_another_network_and_a_report(once):
    done = once.run("train", f"reproduce={run_id(once)}", status=1, before=OTHER_CODE)
    assert file_sha256(once.trained("model.safetensors")) in done.stderr
    assert "of 6,370 differ, " in done.stderr  # 784*8 + 8 + 8*10 + 10 weights
    assert "val/accuracy: " in done.stderr
    assert "code: pipeline/training/loop.py\n" in done.stderr
    again = run_in_store(once, run_id(once, "reproduce"))
    assert again.data.tags["reproduced"] == "false"


def test_a_flipped_bit_in_the_data_is_refused(once):
    path = once.outputs / "data" / "digits.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:50_000] + bytes([content[50_000] ^ 1]) + content[50_001:])
    with pytest.raises(ValueError, match="is damaged") as refused:
        once.call("train", reproduce=run_id(once))
    path.write_bytes(content)
    assert str(path) in str(refused.value)
    assert "python -m pipeline.data dataset=digits" in str(refused.value)


def test_an_unknown_run_is_refused(once):
    with pytest.raises(ValueError, match="'1234e567'"):
        once.call("train", reproduce="1234e567")
