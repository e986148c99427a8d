"""Write the numbers and the outputs in the documents, from results that are stored.

    python tests/docs.py           run the short commands (a minute), then write
    python tests/docs.py --long    also run the sweeps and the benchmark of images
    python tests/docs.py --stored  run nothing, write from the stored results
    python tests/docs.py --check   exit with 1 if a document differs from them

A document marks a place with `<!-- docs:NAME -->...<!-- /docs -->`, and `RENDER` says
what is written there. The results are in tests/docs.json. `--keras` runs the benchmark
of speed too, which installs TensorFlow in an environment of its own.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "docs.json"
MARK = re.compile(r"(<!-- docs:(\w+) -->)(.*?)(<!-- /docs -->)", re.DOTALL)

# In this order: each command may use what an earlier one wrote.
SHORT = {
    "other": "python -m pipeline.train hidden=20 epochs=20 seed=2",
    "train": "python -m pipeline.train hidden=20 epochs=20",
    "sets": 'python -m pipeline.evaluate "sets=[mnist,digits]"',
    "unprepared": 'python -m pipeline.evaluate "sets=[digits]" prepare=false',
    "predict": "python -m pipeline.predict images=0",
    "inspect": "python -m pipeline.inspect",
    "worksheet": "python -m pipeline.inspect neuron=N28 image=0",
    "weight": 'python -m pipeline.inspect "weight=layer_1[300,5]"',
    "against": "python -m pipeline.inspect against={outputs}/other.safetensors",
}
LONG = {
    "sweep": "python -m pipeline.train experiment=hidden_sizes",
    "seeds": "python -m pipeline.train -m seed=1,2,3,4,5",
    "images": "python tests/benchmarks/images.py",
}
KERAS = {"speed": "python tests/benchmarks/speed.py"}
VALUES = {  # JSON files of a command whose values are stored beside its output
    "train": "train/metrics.json",
    "unprepared": "evaluate/metrics.json",
    "inspect": "inspect/summary.json",
    "seeds": "sweeps/*/seed=*/train/metrics.json",
}
PLACES = (".", ".github", "conf", "pipeline/*", "tests")


def documents():
    """Return every Markdown file of the project."""
    return sorted(path for place in PLACES for path in ROOT.glob(f"{place}/*.md"))


def run(commands):
    """Run commands one after another in an empty outputs folder; return the results."""
    results = {}
    with tempfile.TemporaryDirectory() as made:
        outputs = Path(made)
        (outputs / "data").mkdir()
        for path in (ROOT / "outputs" / "data").glob("[!.]*"):
            (outputs / "data" / path.name).symlink_to(path.resolve())
        for name, command in commands.items():
            print(command, flush=True)
            typed = command.format(outputs=outputs)
            done = subprocess.run(
                [sys.executable, *shlex.split(typed)[1:]],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PIPELINE_OUTPUTS": str(outputs),
                },
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            output = done.stdout.replace(str(outputs), "outputs")
            output = re.sub(r"\b[0-9a-f]{32}\b", "<id>", output)
            results[name] = {
                "command": command.format(outputs="outputs"),
                "output": output.splitlines(),
            }
            if name in VALUES:
                files = sorted(outputs.glob(VALUES[name]))
                results[name]["values"] = [_scalars(path) for path in files]
            if name == "sets":
                results[name]["sure"] = _sure(outputs / "evaluate" / "answers.csv")
            if name == "other":
                model = outputs / "train" / "model.safetensors"
                shutil.copy(model, outputs / "other.safetensors")
    return results


def _scalars(path):
    """Return what a JSON file contains, without lists."""
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if not isinstance(value, list)}


def _sure(path):
    """Count the answers and the errors on MNIST, all and those that are sure."""
    rows = [row for row in csv.DictReader(path.open()) if row["set"] == "mnist"]
    errors = [row for row in rows if row["answer"] != row["label"]]
    return [[len(part), _count_sure(part)] for part in (rows, errors)]


def _count_sure(rows):
    return sum(row["sure"] == "True" for row in rows)


def excerpt(name, first, *, head=99, tail=0):
    """Return a function that shows a part of an output.

    Args:
        name: The command.
        first: A regular expression of the line where the part begins.
        head: How many lines are shown; the part ends at a blank line.
        tail: How many of its last lines are shown.
    """

    def render(results):
        lines = results[name]["output"]
        begin = next(i for i, line in enumerate(lines) if re.search(first, line))
        blank = (i for i in range(begin, len(lines)) if not lines[i].strip())
        part = lines[begin : next(blank, len(lines))]
        if len(part) > head + tail:
            part = [*part[:head], "...", *(part[-tail:] if tail else [])]
        return "\n".join(["```", *(line.rstrip() for line in part), "```"])

    return render


def percent(value):
    return f"{100 * value:.1f} %"


def expected(results):
    """The numbers to expect, as a table."""
    (metrics,) = results["train"]["values"]
    final, val = (
        f"{metrics[f'{part}loss']:.3f} | **{percent(metrics[f'{part}accuracy'])}** |"
        for part in ("final/train_", "val/")
    )
    (answer, probability) = answer_to_image_0(results)
    return (
        "| | loss | accuracy |\n| --- | --- | --- |\n"
        f"| training, 60,000 images | {final}\n"
        f"| validation, the 10,000 test images | {val}\n"
        f"| test image 0 | | a **{answer}**, with {probability} % |"
    )


def answer_to_image_0(results):
    """Return the answer to test image 0 and its probability in percent."""
    printed = "\n".join(results["predict"]["output"])
    return re.search(r"(\d) \(([\d.]+) ?%\)", printed).groups()


def seeds(results):
    """The last accuracies of five seeds, as Keras would print them."""
    runs = results["seeds"]["values"]
    final = sorted(percent(run["final/train_accuracy"]) for run in runs)
    running = [f"{100 * run['train/accuracy']:.1f}" for run in runs]
    return f"{', '.join(running)} %; the final ones are {final[0]} to {final[-1]}"


def sure(results):
    """How much better the sure answers on MNIST are, in words."""
    (answers, sure_answers), (errors, sure_errors) = results["sets"]["sure"]
    return (
        f"{percent(1 - sure_answers / answers)} of MNIST's test images are not sure, "
        f"for any reason; they contain {percent(1 - sure_errors / errors)} of the "
        f"errors. Of the sure answers, {percent(1 - sure_errors / sure_answers)} are "
        "correct."
    )


def summary(results):
    return results["inspect"]["values"][0]


RENDER = {
    "expected": expected,
    "parameters": lambda results: f"{summary(results)['parameters']:,}",
    "frozen": lambda results: f"{summary(results)['never_learned']:,}",
    "by_chance": lambda results: str(
        summary(results)["never_changed"] - summary(results)["never_learned"]
    ),
    "answer": lambda results: answer_to_image_0(results)[1] + " %",
    "unprepared": lambda results: percent(
        results["unprepared"]["values"][0]["digits"]["accuracy"]
    ),
    "seeds": seeds,
    "sure": sure,
    "sets": excerpt("sets", "^set "),
    "legend": excerpt("inspect", "^A neuron is active"),
    "neurons": excerpt("inspect", "^ *neuron .*active", head=4),
    "worksheet": excerpt("worksheet", "^N28"),
    "weight": excerpt("weight", r"layer_1\[300,5\]", head=5, tail=3),
    "against": excerpt("against", "^A, "),
    "alignment": excerpt("against", "^Each neuron", head=5),
    "sweep": excerpt("sweep", "^hidden "),
    "images": excerpt("images", "accuracy"),
    "detected": excerpt("images", "^Without preprocessing"),
    "unsure": excerpt("images", "^Preprocessed"),
    "speed": excerpt("speed", "^whole command"),
}


def written(text, results):
    """Return a document with the results in its marked places."""

    def place(match):
        begin, name, before, end = match.groups()
        value = RENDER[name](results)
        return f"{begin}\n{value}\n{end}" if "\n" in before else begin + value + end

    return MARK.sub(place, text)


def outdated(results):
    """Return the documents that differ from the results."""
    return [
        path
        for path in documents()
        if (text := path.read_text()) != written(text, results)
    ]


def main(arguments):
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if arguments == ["--check"]:
        wrong = outdated(results)
        for path in wrong:
            print(
                f"{path.relative_to(ROOT)} differs: run python tests/docs.py --stored"
            )
        return bool(wrong)
    if "--stored" not in arguments:
        results |= run(SHORT)
    if "--long" in arguments:
        results |= run(LONG)
    if "--keras" in arguments:
        results |= run(KERAS)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for path in documents():
        path.write_text(written(path.read_text(), results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
