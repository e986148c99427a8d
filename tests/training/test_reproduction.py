import json

import pytest

from pipeline.datasets import file_sha256
from pipeline.tracking import provenance
from pipeline.training import loop

DIGITS = {"dataset": "digits", "epochs": 2, "hidden": 8}


@pytest.fixture(scope="module")
def once(empty_project):
    """A workspace in which a network was trained."""
    made = empty_project("once")
    made.call("train", **DIGITS)
    return made


def run_id(project, folder="train"):
    return json.loads((project.outputs / folder / "run.json").read_text())["run_id"]


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
    again = once.client.get_run(run_id(once, "reproduce"))
    assert again.info.status == "FINISHED"
    assert again.info.run_name == "hidden=8 seed=1 dataset=digits epochs=2 again"
    assert again.data.tags["reproduces"] == run_id(once)
    assert again.data.tags["reproduced"] == "true"


def test_other_code_gives_another_network_and_a_report(once, monkeypatch):
    hashes = provenance.source_hashes("train")
    changed = hashes | {"pipeline/training/loop.py": "another hash"}
    monkeypatch.setattr(provenance, "source_hashes", lambda stage: changed)
    monkeypatch.setattr(loop, "EPSILON", 1e-3)
    with pytest.raises(ValueError, match="not reproduced: recorded") as report:
        once.call("train", reproduce=run_id(once))
    text = f"{report.value}\n"
    assert file_sha256(once.trained("model.safetensors")) in text
    assert "of 6,370 differ, " in text  # 784*8 + 8 + 8*10 + 10 weights
    assert "val/accuracy: " in text
    assert "code: pipeline/training/loop.py\n" in text
    again = once.client.get_run(run_id(once, "reproduce"))
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
