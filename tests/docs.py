"""Writes the numbers and the outputs in the documents, from results that are stored.

    python tests/docs.py           run the short commands (a minute), then write
    python tests/docs.py --long    also run the sweeps and the benchmark of images
    python tests/docs.py --keras   also run the benchmark of speed
    python tests/docs.py --sweeps  also run the benchmark of sweeps
    python tests/docs.py --export  also run the benchmark of exported networks
    python tests/docs.py --stored  run nothing, write from the stored results

A document contains markers, `<!-- docs:NAME -->...<!-- /docs -->`; the macro NAME of
docs.jinja says what is written between them. The results are in docs.json, and
test_docs.py compares the documents with these results.
"""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from itertools import dropwhile, takewhile
from pathlib import Path

import jinja2

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "outputs" / "data"
RESULTS = ROOT / "tests" / "docs.json"
TEMPLATE = ROOT / "tests" / "docs.jinja"
MARK = re.compile(r"(<!-- docs:(\w+) -->)(.*?)(<!-- /docs -->)", re.DOTALL)

# In this order: each command may use what an earlier one wrote.
COMMANDS = {
    "other": "python -m pipeline.train hidden=20 epochs=20 seed=2",
    "train": "python -m pipeline.train hidden=20 epochs=20",
    "evaluate": "python -m pipeline.evaluate",
    "sets": 'python -m pipeline.evaluate "sets=[mnist,digits]"',
    "not_preprocessed": 'python -m pipeline.evaluate "sets=[digits]" prepare=false',
    "predict": "python -m pipeline.predict images=0",
    "inspect": "python -m pipeline.inspect",
    "worksheet": "python -m pipeline.inspect neuron=N28 image=0",
    "weight": 'python -m pipeline.inspect "weight=layer_1[300,5]"',
    "against": "python -m pipeline.inspect against=outputs/other.safetensors",
    "sweep": "python -m pipeline.train experiment=hidden_sizes again=true",
    "seeds": "python -m pipeline.train -m seed=1,2,3,4,5 tracking=none",
    "images": "python tests/benchmarks/images.py",
    "speed": "python tests/benchmarks/speed.py",
    "sweeps": "python tests/benchmarks/sweeps.py",
    "exports": "python tests/benchmarks/export.py",
}
OPTIONAL = {"sweep": "--long", "seeds": "--long", "images": "--long"}
OPTIONAL |= {"speed": "--keras", "sweeps": "--sweeps", "exports": "--export"}
VALUES = {  # JSON files of a command whose values are stored together with its output
    "train": "train/metrics.json",
    "not_preprocessed": "evaluate/metrics.json",
    "inspect": "inspect/summary.json",
    "seeds": "sweeps/*/seed=*/train/metrics.json",
}
PLACES = (".", ".github", "conf", "pipeline", "pipeline/*", "tests")
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(f"{place}/*.md"))


def run(names):
    """Run commands one after another in an empty outputs folder; return the results."""
    results = {}
    with tempfile.TemporaryDirectory() as made:
        outputs = Path(made)
        DATA.mkdir(parents=True, exist_ok=True)
        (outputs / "data").symlink_to(DATA)
        for name in names:
            command = COMMANDS[name]
            print(command, flush=True)
            output = subprocess.check_output(
                [sys.executable, *shlex.split(command.replace("outputs", made))[1:]],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PIPELINE_OUTPUTS": made},
                text=True,
            )
            output = output.replace(made, "outputs")
            output = re.sub(r"\b[0-9a-f]{32}\b", "<id>", output)
            results[name] = {"command": command, "output": output.splitlines()}
            if name in VALUES:
                files = sorted(outputs.glob(VALUES[name]))
                results[name]["values"] = [scalars(path) for path in files]
            if name == "sets":
                path = outputs / "evaluate" / "predictions.csv"
                results[name]["sure"] = count_sure(path)
            if name == "other":
                model = outputs / "train" / "model.safetensors"
                shutil.copy(model, outputs / "other.safetensors")
    return results


def scalars(path):
    """Return what a JSON file contains, without lists."""
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if not isinstance(value, list)}


def count_sure(path):
    """Count predictions and errors on MNIST: of all predictions, and of sure ones."""
    rows = [row for row in csv.DictReader(path.open()) if row["set"] == "mnist"]
    errors = [row for row in rows if row["predicted"] != row["label"]]
    sure = [row for row in rows if row["sure"] == "True"]
    sure_errors = [row for row in errors if row["sure"] == "True"]
    return [[len(rows), len(sure)], [len(errors), len(sure_errors)]]


def prediction_for_image_0(results):
    """Return the prediction for test image 0 and its probability in percent."""
    printed = "\n".join(results["predict"]["output"])
    return re.search(r"(\d) \(([\d.]+) ?%\)", printed).groups()


def written(text, results):
    """Return a document with the results inserted between its markers."""

    def excerpt(name, first, *, head=99, tail=0):
        """Show the lines from the one that matches `first` to the next blank line."""
        lines = dropwhile(lambda x: not re.search(first, x), results[name]["output"])
        part = [*takewhile(str.strip, lines)]
        if len(part) > head + tail:
            part = [*part[:head], "...", *(part[-tail:] if tail else [])]
        return "\n".join(["```", *(line.rstrip() for line in part), "```"])

    def lines(name, wanted):
        """Return the lines of an output that match `wanted`."""
        output = results[name]["output"]
        return "\n".join(line.rstrip() for line in output if re.search(wanted, line))

    def place(match):
        begin, name, before, end = match.groups()
        value = getattr(macros, name)()
        return f"{begin}\n{value}\n{end}" if "\n" in before else begin + value + end

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}%"
    context = {"prediction_for_image_0": prediction_for_image_0}
    context |= {"excerpt": excerpt, "lines": lines}
    template = environment.from_string(TEMPLATE.read_text())
    macros = template.make_module({"results": results, **context})
    return MARK.sub(place, text)


def main(arguments):
    options = {"--stored", *OPTIONAL.values()}
    if unknown := {*arguments} - options:
        sys.exit(f"unknown option {' '.join(unknown)}; options: {', '.join(options)}")
    results = json.loads(RESULTS.read_text())
    if "--stored" not in arguments:
        due = (n for n in COMMANDS if n not in OPTIONAL or OPTIONAL[n] in arguments)
        results |= run(due)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for path in DOCUMENTS:
        path.write_text(written(path.read_text(), results))


if __name__ == "__main__":
    main(sys.argv[1:])
