"""The commands, numbers, paths, links and words in the documents are correct."""

import dataclasses
import importlib
import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import cli
from pipeline.__main__ import STAGES
from pipeline.cli.arguments import parse
from pipeline.core.network import snapshot
from pipeline.datasets.data_files import read_summary
from pipeline.datasets.prepare import PreparedData
from pipeline.deploy.export import ExportResult
from pipeline.evaluation import find_image
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.predict import PredictResult
from pipeline.images import preprocess_images
from pipeline.interpret.inspect import Inspection
from pipeline.sweeps.jobs import FailedOutcome, Job, TrainedOutcome
from pipeline.sweeps.result import SweepResult
from pipeline.teaching.class_grades import ClassGrades
from pipeline.teaching.homework import Homework
from pipeline.training.result import TrainResult

ROOT = Path(__file__).resolve().parent.parent
docs = runpy.run_path(str(ROOT / "tests" / "docs.py"))
DOCUMENTS = {str(p.relative_to(ROOT)): p.read_text() for p in docs["DOCUMENTS"]}
RESULTS, DATA = json.loads(docs["RESULTS"].read_text()), docs["DATA"]
COMMAND = re.compile(r"python -m pipeline\.(\w+) ?([^`\n]*)")
TEXTS = {".yaml", ".toml", ".html", ".txt", ".jinja", ".c", ".ipynb"}
ALL = pytest.mark.parametrize("name", DOCUMENTS)

# Terms that no text may use, as patterns, with the terms to use instead. If a
# word is also a correct term, the pattern contains its wrong context.
DROPPED_WORDS = {
    r"(?:command-line|hydra) (?:options?|parameters?)": "setting",
    r"groups? of settings": "config group",
    r"(a|the) training(?=[.,;:)]| (is|was|has|that|which|of|in)\b)": "training run",
    r"(?:network|model)(?:'s)? answers?|answers? of (?:a|the) network": "prediction",
    r"(?<!bit )widths? of (?:a |the )?weights?": "bit width",
    r"(?:server|page)'s address|address of (?:a|the) (?:server|page)": "URL",
    r"identity of (?:a|the) (?:training )?run": "fingerprint",
    r"backend": "store",
    r"pictures?": "image, plot or figure",
    r"right answers?": "correct answer",
    r"squared paper": "graph paper",
    r"never[- ](?:lit|learned|trained)|never-changed": "always zero, frozen",
    r"untrained(?! network)": "frozen",
    r"unlike any digit": "a sentence that says what is wrong",
    r"\d %(?!\})": "97.7%",
    r"(?<!and the )data (?:are|were|have)": "data is",
    r"(?<!and )the same bytes": "byte-identical",
    r"anew|beside": "from the beginning, next to",
    r"colour\w*|behaviour|grey|centre|artefacts?|labelled": "US spelling",
}


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}


def readable_texts():
    """Yield the path of each file, and the text in it that people read.

    Of code, these are the strings with a space and the names of tests.
    """
    yield from DOCUMENTS.items()
    string = re.compile(r'"""(?s:.*?)"""|"[^"\n]*"|`[^`]*`')
    test = re.compile(r"^def test_(\w+)", re.MULTILINE)
    tests = {*ROOT.glob("tests/**/*.py")} - {Path(__file__)}
    for path in [*ROOT.glob("conf/**/*.yaml"), *ROOT.glob("pipeline/**/*.*"), *tests]:
        if path.suffix in (".py", ".js"):
            code = path.read_text()
            names = [name.replace("_", " ") for name in test.findall(code)]
            strings = [text.strip('"`') for text in string.findall(code) if " " in text]
            yield str(path), "\n".join([*names, *strings])
        elif path.suffix in TEXTS:
            yield str(path), path.read_text()


def test_documents_help_messages_and_pages_use_the_terms_of_the_field():
    for path, text in readable_texts():
        for words, term in DROPPED_WORDS.items():
            found = re.search(rf"(?i)(?<![\w\"/-])(?:{words})(?![\w-])", text)
            assert not found, f"{path}: {found[0]!r}: write {term}"


def test_the_readme_begins_with_training_and_contains_the_test_command():
    lines = DOCUMENTS["README.md"].splitlines()
    first = "python -m pipeline.train hidden=20 epochs=20"
    assert first in lines[:25]
    assert "pip install -e '.[test]' && pytest -n 3" in lines  # .ci/run reads this line


def test_the_numbers_in_the_help_are_those_of_the_documents(mnist):
    (train,), evaluate = RESULTS["train"]["values"], RESULTS["evaluate"]["output"]
    accuracy, loss = train["val/accuracy"], train["val/loss"]
    final = train["with_final_weights/train_accuracy"]
    digit, probability = docs["prediction_for_image_0"](RESULTS)
    summary = read_summary(mnist.file.path)
    sentences = {
        "data": f"{summary.train.images:,} training and {summary.test.images:,} test "
        f"images. The mean of the training pixels is {summary.pixels.mean:.4f}. Of the "
        f"784 pixels, {len(summary.always_zero)} are always zero.",
        "train": f"The accuracy is {final:.1%} on the training images and "
        f"{accuracy:.1%} on the test images",
        "evaluate": f"classifies {accuracy:.1%} of these images correctly, with a loss "
        f"of {loss:.4f}.",
        "predict": f"as {digit} with a probability of {probability}%.",
    }
    assert f" {accuracy:.2%} " in "".join(evaluate)  # the accuracy of the same network
    for stage in {*STAGES} - {"sync"}:  # its times are measured on other machines too
        module = importlib.import_module(f"pipeline.{stage}")
        text, sentence = " ".join(module.__doc__.split()), sentences.get(stage, "")
        assert sentence in text
        decimals = re.compile(r"\d+\.\d+")
        assert decimals.findall(text) == decimals.findall(sentence), stage


@ALL
def test_documents_are_short(name):
    # Words and not lines, because a list has more lines than a paragraph.
    longer = {".github/DESIGN.md": 6550, ".github/CONTRIBUTING.md": 4100}
    most = longer.get(name, 3400)
    assert len(DOCUMENTS[name].split()) <= most
    lines = {"README.md": 130, "pipeline/teaching/README.md": 120}
    assert len(DOCUMENTS[name].splitlines()) <= lines.get(name, 360)


@ALL
def test_every_command_is_valid(name, tmp_path):
    text = DOCUMENTS[name].replace("/some/folder", str(tmp_path))
    for stage, arguments in COMMAND.findall(text):
        given = [word for word in shlex.split(arguments) if word != "--help"]
        schema = getattr(cli, f"{stage.title()}Config")
        parse(given, schema)  # raises an error if invalid


@ALL
def test_every_path_exists(name, finished):
    for folder, places in (
        (ROOT, "pipeline|conf|tests|.github|.ci"),
        (finished.outputs.parent, "outputs/train|outputs/evaluate|outputs/inspect"),
    ):
        for path in re.findall(rf"`((?:{places})/[^`*< ]*)", DOCUMENTS[name]):
            assert (folder / path).exists(), path


def test_the_diagrams_are_short_and_name_functions_that_exist():
    text = DOCUMENTS[".github/DESIGN.md"]
    diagrams = re.findall("```mermaid\n(.*?)```", text, re.DOTALL)
    assert diagrams and all(len(each.splitlines()) <= 20 for each in diagrams)
    for path, name in re.findall(r"((?:\w+/)+\w+\.py) (\w+)", "".join(diagrams)):
        code = (ROOT / "pipeline" / path).read_text()
        assert re.search(rf"^ *(def|class) {name}\b", code, re.MULTILINE), (path, name)


GUIDES = [".github/DESIGN.md", ".github/CONTRIBUTING.md"]


def test_the_names_in_the_design_and_in_the_recipes_exist():
    text = re.sub("```.*?```", "", "".join(map(DOCUMENTS.get, GUIDES)), flags=re.DOTALL)
    paths = [*ROOT.glob("pipeline/**/*.*"), *ROOT.glob("conf/**/*.yaml")]
    tests = {*ROOT.glob("tests/*.py"), *ROOT.glob("tests/*/*.py")}
    paths += [ROOT / "dvc.yaml", *tests - {Path(__file__)}]
    endings = {".py", ".js", ".html", ".css", ".yaml"}
    read = [path.read_text() for path in paths if path.suffix in endings]
    words = {*re.findall(r"\w+", "\n".join(read))}
    names = {*re.findall(r"`([A-Za-z_]\w*)(?:\(\))?`", text)}
    # A setting as an example, and a function of pydantic that no field needs yet.
    assert names - words == {"patience", "field_validator"}


def test_the_functions_of_the_recipes_are_in_the_files_that_they_name():
    place = r"`(\w+)`(?: and `(\w+)`)? (?:in|of) `(pipeline/[\w/]+\.py)`"
    found = re.findall(place, "".join(map(DOCUMENTS.get, GUIDES)))
    assert len(found) > 10
    for *names, path in found:
        defined = r"^ *(?:def |class |)({})\b"
        code = (ROOT / path).read_text()
        for name in filter(None, names):
            assert re.search(defined.format(name), code, re.MULTILINE), (path, name)


@ALL
def test_every_link_has_a_target(name):
    for link in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert link.startswith("http") or target.exists(), link
        if anchor and not link.startswith("http"):
            assert anchor in anchors(target.read_text()), link


@ALL
def test_the_documents_contain_the_stored_results(name):
    written = docs["written"](DOCUMENTS[name], RESULTS)
    assert written == DOCUMENTS[name], "run python tests/docs.py --stored"


def test_the_stored_results_are_those_of_the_commands(finished):
    # A different processor rounds differently and trains a different network.
    metrics = finished.read("train/metrics.json")
    stored_metrics = {**RESULTS["train"]["values"][0]}
    for metric, stored in stored_metrics.items():
        tolerance = 0.01 if "loss" in metric else 0.004
        assert metrics[metric] == pytest.approx(stored, abs=tolerance), metric
    summary = finished.read("inspect/summary.json")
    for count in ("parameters", "weights_of_always_zero_pixels"):
        assert summary[count] == RESULTS["inspect"]["values"][0][count]


def test_the_stored_outputs_have_the_words_of_the_command(finished):
    def words(lines):
        return {word for line in lines for word in re.findall(r"[a-z_]{3,}", line)}

    printed = finished.call("inspect", neuron="N28", image=0)
    printed = printed.replace(str(finished.outputs), "outputs")
    assert words(printed.splitlines()) == words(RESULTS["worksheet"]["output"])


def test_each_stage_has_one_description():
    for stage, description in STAGES.items():
        line = rf"^  {stage}\.py +stage: {re.escape(description)}$"
        assert re.search(line, DOCUMENTS["pipeline/README.md"], re.MULTILINE), stage
        first = Path(ROOT, f"pipeline/{stage}.py").read_text().split("\n")[0]
        words = description.partition(" ")[2]  # the docstring says "Copies", not "copy"
        words = re.sub(r"\band (plot|record|mark)\b", r"and \1s", words)
        assert first.endswith(f" {words}."), stage


def test_the_results_have_the_fields_of_the_table():
    text = DOCUMENTS["pipeline/README.md"]
    rows = dict(re.findall(r"^\| (?:an )?`(\w+)`.*? \| (.*) \|$", text, re.M))
    assert rows.keys() >= {*STAGES}
    rows |= dict.fromkeys(["TrainedOutcome", "FailedOutcome"], rows["Outcome"])
    for name, result in {
        "data": PreparedData,
        "train": TrainResult,
        "evaluate": Evaluation,
        "predict": PredictResult,
        "inspect": Inspection,
        "export": ExportResult,
        "homework": Homework,
        "grade": ClassGrades,
        "sweep": SweepResult,
        "TrainedOutcome": TrainedOutcome,
        "FailedOutcome": FailedOutcome,
    }.items():
        cells = re.sub(r"\(.*?`.*?\)(?=,| \||$)", "", rows[name])  # fields of fields
        fields = re.findall(r"`(\w+)(?:\(\))?`", cells)
        known = {each.name for each in dataclasses.fields(result)} | {*dir(result)}
        assert fields and {*fields} <= known, name
        assert ("copied" in fields) == ("copied" in known)
    (listed,) = re.findall(r"`job` \((.*?)\)", rows["Outcome"])
    known = {each.name for each in dataclasses.fields(Job)} | {*dir(Job)}
    assert {*re.findall(r"`(\w+)`", listed)} <= known


def python_code(name):
    """Return the Python code of a document, with one epoch instead of several."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENTS[name], re.DOTALL)
    return re.sub(r"epochs=\d+", "epochs=1", code)


def test_the_ten_python_lines_of_the_readme_work(project, worker):
    code = python_code("README.md")
    assert len([line for line in code.splitlines() if line]) == 10
    with project.captured() as text:
        exec(code, {})
    printed = text.getvalue()
    ((accuracy, run_id),) = re.findall(r"^(0\.\d+) ([0-9a-f]{32})$", printed, re.M)
    run = project.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["val/accuracy"] == float(accuracy) > 0.9
    assert "'accuracy_low': " in printed  # the output of evaluate
    assert re.search(r"hidden\n5 +0\.\d+\n10 +0\.\d+\n20 +0\.\d+\n", printed)
    assert re.search(r"\[\[0\.\d+ ", printed)  # the probabilities


def test_the_python_lines_about_errors_get_the_result_of_a_failed_sweep(project):
    with project.captured():
        exec(python_code("pipeline/README.md"), scope := {})
    failed, trained = sorted(scope["result"].outcomes, key=lambda o: not o.error)
    assert "hidden must be" in failed.error and trained.accuracy > 0
    assert issubclass(scope["ConfigError"], scope["UserError"])
    assert issubclass(scope["PartlyFailed"], scope["UserError"])


def test_the_python_lines_train_the_same_network_as_the_command(histories):
    code = python_code("pipeline/training/README.md")
    exec(code.replace("outputs/data", str(DATA)), scope := {})
    for name, tensor in snapshot(scope["network"]).items():
        np.testing.assert_array_equal(tensor, histories.weights[name][1])


def test_the_python_lines_write_a_photograph_as_predict_preprocesses_it(
    mnist, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    photo = Image.fromarray(255 - mnist.test.images[0]).resize((280, 280))
    photo.save("photo.jpg")
    exec(python_code("pipeline/deploy/README.md"), {})
    preprocessed = preprocess_images(find_image("photo.jpg", mnist), as_mnist=True)
    assert Path("photo.bin").read_bytes() == preprocessed.images[0].tobytes()
