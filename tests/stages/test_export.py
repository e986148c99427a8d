"""The export stage: its files, what it records, and what it rejects."""

import os
import re
import shutil

import pytest
import torch

from pipeline import UserError, datasets
from pipeline.integers.integers_file import load_integers
from pipeline.model import load_trained_network, save_network
from pipeline.records.file_names import HISTORY_FILE, WEIGHT_HISTORY_FILE

SOURCES = {"digits.c", "digits.h", "example.c", "selftest.c", "selftest.h"}
NETWORKS = {"integers.safetensors", "network.onnx"}
FILES = {*SOURCES, *NETWORKS, "report.json", "image0.bin", "weights.png", "changed.png"}
FAILING = """#!/bin/sh
echo "digits.c: In function 'digits_begin':\ndigits.c:1:1: error: no" >&2
exit 1
"""
# A compiler with a defect: it reads 254 where the code of the clamp has 255.
DEFECTIVE = """#!/bin/sh
for argument; do
  case $argument in digits.c)
    sed 's/output > 255 ? 255/output > 255 ? 254/' "$argument" > {folder}/digits.c
    argument={folder}/digits.c
  esac
  shift
  set -- "$@" "$argument"
done
exec {gcc} "$@"
"""


@pytest.fixture(scope="module")
def exported(empty_project):
    """A workspace with a small trained network, which is exported with 2 bits."""
    made = empty_project("export")
    made.call("train", dataset="digits", epochs=1)
    made.call("export", bits=2, finetune=1)
    return made


def test_the_same_network_gives_the_same_files(exported):
    before = exported.hashes("export")
    assert {*before} == {f"export/{name}" for name in FILES}
    printed = exported.call("export", bits=2, finetune=1, tracking="none")
    assert exported.hashes("export") == before
    for name in ("network.onnx", "C code, gcc", "C code, clang"):
        assert f"equal    {name}" in printed or f"not run  {name}" in printed


def test_the_report_agrees_with_the_integers(exported):
    stored = load_integers(exported.outputs / "export/integers.safetensors")
    test = datasets.load("digits", folder=exported.outputs / "data").test
    report = exported.read("export/report.json")
    accuracy = (stored.network.classify(test.images) == test.labels).mean()
    assert report["accuracy"] == accuracy
    assert (report["bits"], report["finetune"]) == (2, 1)
    assert report["weights_sha256"] == stored.weights_sha256
    assert report["table_bytes"] == 784 * 20 / 4 + 20 * (4 + 1 + 10) + 40
    image = (exported.outputs / "export" / "image0.bin").read_bytes()
    assert image == test.images[0].tobytes()


def test_files_and_tools_are_in_the_run_that_trained_the_network(exported):
    (run,) = exported.runs()
    files = {f"export/2bit/{name}" for name in FILES}
    assert exported.artifacts(run, "export/2bit") == files
    report = exported.read("export/report.json")
    for name in ("accuracy", "same_predictions"):  # at step 0, MLflow draws a bar
        assert exported.points(run, f"with_2bit_weights/{name}") == [(0, report[name])]
    assert run.data.tags["version.onnxruntime"]
    note = run.data.tags["mlflow.note.content"]
    (line,) = re.findall(r"\*\*Accuracy of the last export\*\*: (.+)", note)
    assert "artifacts/export/2bit/report.json" in line
    assert line.startswith("[2 bits](") and line.endswith(f"{report['accuracy']:.2%}")


def test_the_output_names_the_missing_programs_with_their_packages(
    exported, tmp_path, monkeypatch
):
    copy = exported.copy(tmp_path / "outputs")
    monkeypatch.setenv("PATH", str(tmp_path))
    packages = "pipeline.deploy.exported_network.ONNX_PACKAGES"
    monkeypatch.setattr(packages, ("onnx", "not_installed"))
    options = {"bits": 2, "finetune": 0, "tracking": "none"}
    printed = " ".join(copy.call("export", **options).split())
    for text in (
        "onnxruntime: network.onnx needs not_installed: pip install -e '.[export]'",
        "C code, gcc: not installed: apt-get install gcc libc6-dev",
        "C code, clang: not installed: apt-get install clang libc6-dev",
    ):
        assert f"not run {text}" in printed
    files = {f"export/{name}" for name in FILES if not name.endswith(".onnx")}
    assert {*copy.hashes("export")} == files


def test_a_damaged_history_does_not_stop_an_export(exported, worker, tmp_path):
    copy = exported.copy(tmp_path / "outputs")
    for name in (WEIGHT_HISTORY_FILE, HISTORY_FILE):  # neither is on the page
        copy.trained(name).write_bytes(b"damaged")
    printed = copy.call("export", bits="all", finetune=0, tracking="none")
    assert "page   " in printed
    page = (copy.outputs / "export" / "report.html").read_text()
    assert "images (digits) for 1 epoch." in " ".join(page.split())


@pytest.fixture
def save_edited(exported, tmp_path):
    """Return a function that edits the network and saves it; it returns the path."""

    def save(edit):
        trained = load_trained_network(exported.trained("model.safetensors"))
        with torch.no_grad():
            edit(trained.network)
        path = tmp_path / "edited.safetensors"
        save_network(path, trained.network, trained.metadata)
        return str(path)

    return save


def test_a_dead_neuron_is_reported(exported, save_edited):
    path = save_edited(lambda network: network.layer_1.bias[2].fill_(-100))
    copy = exported.copy(exported.outputs.parent / "dead neuron")
    printed = copy.call("export", model=path, tracking="none")
    rule = r"Dead neurons \(8 bits\), [^:]*: [^:]*\bN13\b"
    assert re.search(rule, printed)


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        (FAILING, r"gcc failed: digits\.c:1:1: error: no"),
        (DEFECTIVE, r"with 2 bits differ: C code, gcc .*: image \d+: the sum of N2"),
    ],
    ids=["failing", "defective"],
)
def test_an_export_that_fails_its_checks_writes_and_records_nothing(
    exported, save_edited, compiler, message, tmp_path, monkeypatch
):
    before = exported.hashes("export")
    # No run trained this network.
    path = save_edited(lambda network: network.layer_1.bias.add_(0.01))
    text = compiler.format(folder=tmp_path, gcc=shutil.which("gcc"))
    (tmp_path / "gcc").write_text(text)
    (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError, match=message):
        exported.call("export", model=path, bits=2, finetune=0)
    assert exported.hashes("export") == before
    assert len(exported.runs()) == 1  # the run that trained the network
