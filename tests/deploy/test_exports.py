"""Exports of several bit widths and of the networks of a sweep, in real processes."""

import io
import pickle
import re
import signal
from pathlib import Path

import pytest
import torch

from pipeline import UserError, tracking
from pipeline.deploy import export_jobs
from pipeline.deploy.jobs import run_job
from pipeline.interpret.page import PAGE_FILE
from pipeline.model.storage import load_network, save_network
from pipeline.records.file_names import MODEL_FILE
from pipeline.sweeps.networks import SweptNetwork, read_networks

SETTINGS = ("hidden=3,20", "seed=1,2", "dataset=digits", "epochs=10", "lr=0.01")


def export(workspace, *arguments):
    """Export several bit widths; return what is printed, and the error."""
    return workspace.sweep("export", "workers=1", "finetune=0", *arguments)


@pytest.fixture(scope="module")
def sweep(empty_project, worker):
    """A workspace with a sweep of four small networks."""
    workspace = empty_project("exports")
    workspace.sweep("train", "workers=1", *SETTINGS)
    return workspace


@pytest.fixture(scope="module")
def parent(sweep):
    (run,) = sweep.runs("tags.kind = 'sweep'")
    return run.info.run_id


@pytest.fixture(scope="module")
def exported(sweep, parent):
    """What the export of the sweep printed."""
    return export(sweep, f"sweep={parent[:8]}", "bits=8,2")[0]


@pytest.fixture
def rows(sweep, exported):
    return sweep.read("export/sizes.csv")


def children(sweep):
    return sweep.runs("tags.kind = 'training'")


def test_each_network_of_a_sweep_is_exported_with_each_bit_width(sweep, rows):
    folders = {row["folder"] for row in rows}
    assert folders == {
        f"hidden={hidden},seed={seed}/{bits}bit"
        for hidden in (3, 20)
        for seed in (1, 2)
        for bits in (8, 2)
    }
    for row in rows:
        folder = sweep.outputs / "export" / row["folder"]
        report = sweep.read(folder / "report.json")
        for name in ("bits", "hidden", "table_bytes", "accuracy", "same_predictions"):
            assert str(report[name]) == row[name]
        assert (folder / "digits.c").exists()


def test_each_run_gets_its_exports_and_the_sweep_the_plot(sweep, parent, rows):
    for run in children(sweep):
        own = [row for row in rows if row["run_id"] == run.info.run_id]
        assert len(own) == 2
        for row in own:
            section, name = f"with_{row['bits']}bit_weights", f"export/{row['bits']}bit"
            assert run.data.metrics[f"{section}/accuracy"] == float(row["accuracy"])
            assert f"{name}/digits.c" in sweep.artifacts(run, name)
    sweep_run = sweep.client.get_run(parent)
    files = {"export/sizes.csv", "export/sizes.png"}
    assert sweep.artifacts(sweep_run, "export") == files
    note = sweep_run.data.tags["mlflow.note.content"]
    assert "**Exports**: best: hidden=20 " in note


def test_the_best_network_and_the_smallest_that_is_nearly_as_good_are_reported(
    exported, rows
):
    highest = max(float(row["accuracy"]) for row in rows)
    near = [row for row in rows if float(row["accuracy"]) >= highest - 0.01]
    best = min(near, key=lambda r: (int(r["table_bytes"]), -float(r["accuracy"])))
    name = " ".join(f"{key}={best[key]}" for key in ("hidden", "seed", "bits"))
    text = " ".join(exported.split())
    assert f"{len(rows)} of {len(rows)} exports)" in text  # all exports were compared
    assert f", {highest:.2%} with " in text
    assert f"the smallest network within 1 percentage point of it: {name}, " in text
    assert f"with {int(best['table_bytes']):,} bytes of tables " in text


def test_the_files_of_a_worker_are_byte_identical_to_those_of_a_single_export(
    sweep, rows
):
    folder = sweep.outputs / "export" / rows[0]["folder"]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    options = {"run": rows[0]["run_id"], "bits": int(rows[0]["bits"]), "finetune": 0}
    alone = sweep.copy(sweep.outputs.parent / "alone")
    alone.call("export", **options, tracking="none")
    after = {path.name: path for path in (alone.outputs / "export").iterdir()}
    assert before == {name: path.read_bytes() for name, path in after.items()}


def test_if_one_bit_width_fails_the_others_and_their_page_are_written(sweep, tmp_path):
    (run, *_) = children(sweep)
    files = Path(run.info.artifact_uri.removeprefix("file://")) / "train"
    network, metadata = load_network(files / MODEL_FILE)
    network.layer_1.weight.data[0] = 0
    save_network(tmp_path / MODEL_FILE, network, metadata)
    copy = sweep.copy(tmp_path / "outputs")
    before, runs = copy.hashes("export"), len(copy.runs())
    setting = f"model={tmp_path / MODEL_FILE}"
    _, error = export(copy, "bits=1", setting)
    rule = "all weights of N11 are 0, which 1 bit cannot represent: use bits=2 or more"
    assert error == rule
    assert copy.hashes("export") == before and len(copy.runs()) == runs
    printed, error = export(copy, "bits=all", setting)
    assert error == f"1 of 4 exports failed: bits=1: {rule}"
    after = copy.hashes("export")
    assert "export/8bit/digits.c" in after and "export/1bit/digits.c" not in after
    page = (copy.outputs / "export" / PAGE_FILE).read_text()
    assert "class IntegerNetwork" in page and f"export/{PAGE_FILE}\n" in printed
    (run,) = copy.runs("tags.kind = 'evaluation'")
    assert f"export/{PAGE_FILE}" in copy.artifacts(run, "export")
    rows = copy.read("export/sizes.csv")  # the rows contain the run
    assert [row["run_id"] for row in rows] == [run.info.run_id] * 3
    note = run.data.tags["mlflow.note.content"]
    assert f"artifacts/export/{PAGE_FILE}?" in note
    (line,) = re.findall(r"\*\*Accuracy of the last export\*\*: (.+)", note)
    assert re.findall(r"\[(\d) bit", line) == ["8", "4", "2"]


def test_a_run_that_is_not_a_sweep_or_has_no_networks_is_rejected(sweep, parent):
    store = sweep.outputs
    tracker = tracking.new_tracker(store, server=None, experiment="digits")
    with tracker.start_run(name="empty", params={}, tags={"kind": "sweep"}, time=1000):
        pass
    (child, *_) = children(sweep)
    rejected = {
        "nothing": "has no run 'nothing': enter the ID",
        "empty": "has no finished training run: run the sweep again",
        child.info.run_id: (
            f"is part of a sweep: enter the ID of the sweep's run, {parent}"
        ),
    }
    for text, message in rejected.items():
        with pytest.raises(UserError, match=message):
            read_networks(text, store=store)


def imported_modules(pickled):
    """Return the modules that a pickle imports; `Metadata` has a field named torch."""
    names = set()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(module)
            return super().find_class(module, name)

    Unpickler(io.BytesIO(pickled)).load()
    return names


def test_no_tensor_is_sent_to_a_worker_or_back(trained_on_few, small_dataset):
    (job,) = export_jobs([SweptNetwork({}, trained_on_few())], [8])
    sent = pickle.dumps(job)
    exported = run_job(small_dataset, job=pickle.loads(sent), finetuning_epochs=1)
    modules = imported_modules(sent) | imported_modules(pickle.dumps(exported))
    assert modules and "torch" not in {name.split(".")[0] for name in modules}
    assert "torch" in imported_modules(pickle.dumps(torch.float32))
    assert exported.report.weights_sha256 == job.trained.weights_sha256


@pytest.mark.fault
def test_a_killed_worker_is_replaced_and_workers_end_with_the_command(
    project, new_network, start_workers, wait_for_end, tmp_path
):
    save_network(tmp_path / MODEL_FILE, new_network(5))
    model = [f"model={tmp_path / MODEL_FILE}", "finetune=0", "tracking=none"]
    process, workers = start_workers(project, "export", "bits=all", *model)
    first = next(line for line in process.stdout if "(1 of 4)" in line)
    workers[0].kill()
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "trying again" in " ".join((first + printed).split())
    before = project.hashes("export")
    assert {f"export/{bits}bit/digits.c" for bits in (8, 4, 2, 1)} < before.keys()

    process, workers = start_workers(project, "export", "bits=all", *model)
    assert any("(1 of 4)" in line for line in process.stdout)
    workers[0].resume()  # a suspended process cannot end itself
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # 0.3 s on an idle machine
    wait_for_end(workers)
    assert process.returncode == 130
    assert errors == "interrupted: run the same command again\n"
    assert project.hashes("export") == before
    assert not [*project.outputs.glob(".export.pipeline-new-*")]
