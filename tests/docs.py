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
KEPT = ("parameters", "never_learned", "never_changed")  # of inspect's summary
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
                **_values(name, output, outputs),
            }
    return results


def _values(name, output, outputs):
    """Return the values that the documents need, from the files of a command."""
    train = outputs / "train"
    if name == "other":
        shutil.copy(train / "model.safetensors", outputs / "other.safetensors")
    if name == "train":
        return {"metrics": json.loads((train / "metrics.json").read_text())}
    if name in ("sets", "unprepared"):
        evaluated = outputs / "evaluate"
        metrics = json.loads((evaluated / "metrics.json").read_text())
        answers = list(csv.DictReader((evaluated / "answers.csv").open()))
        return {"metrics": metrics, "errors": _errors(answers)}
    if name == "inspect":
        summary = json.loads((outputs / "inspect" / "summary.json").read_text())
        return {"summary": {key: summary[key] for key in KEPT}}
    if name == "sweep":
        (table,) = outputs.glob("sweeps/*/sweep.csv")
        return {"rows": list(csv.DictReader(table.open()))}
    if name == "seeds":
        metrics = sorted(outputs.glob("sweeps/*/seed=*/train/metrics.json"))
        return {"metrics": [json.loads(path.read_text()) for path in metrics]}
    if name == "speed":
        line = r"^(epoch|whole command): ([\d.]+) s, Keras ([\d.]+) s, ratio ([\d.]+)$"
        medians = re.findall(line, output, re.MULTILINE)
        return {"medians": {what: [*map(float, row)] for what, *row in medians}}
    return {}


def _errors(answers):
    """Count the errors on MNIST, and those among the answers that are called sure."""
    mnist = [row for row in answers if row["set"] == "mnist"]
    wrong = [row for row in mnist if row["label"] != row["answer"]]
    sure = [row for row in wrong if row["sure"] == "True"]
    return {"all": len(wrong), "sure": len(sure)}


def percent(value, digits=1):
    return f"{100 * value:.{digits}f} %"


def markdown(head, *rows):
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(lines):
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def _answer(results):
    """Return the answer to test image 0 and its probability in percent."""
    printed = "\n".join(results["predict"]["output"])
    return re.search(r"(\d) \(([\d.]+) ?%\)", printed).groups()


def _expected(results):
    metrics = results["train"]["metrics"]
    digit, probability = _answer(results)
    return markdown(
        ["", "loss", "accuracy"],
        [
            "training, 60,000 images",
            f"{metrics['final/train_loss']:.3f}",
            f"**{percent(metrics['final/train_accuracy'])}**",
        ],
        [
            "validation, the 10,000 test images",
            f"{metrics['val/loss']:.3f}",
            f"**{percent(metrics['val/accuracy'])}**",
        ],
        ["test image 0", "", f"a **{digit}**, with {probability} %"],
    )


def _sets(results):
    rows = [
        [
            name,
            f"{row['n']:,}",
            percent(row["accuracy"], 2),
            f"{percent(row['accuracy_low'])} to {percent(row['accuracy_high'])}",
            f"{row['loss']:.4f}",
            percent(row["confidence"]),
            percent(row["calibration_error"]),
            percent(row["unsure"]),
        ]
        for name, row in results["sets"]["metrics"].items()
    ]
    head = ["set", "images", "accuracy", "95 % interval", "loss", "confidence"]
    return markdown([*head, "calibration error", "unsure"], *rows)


def _neurons(results):
    """The head of the last table of `inspect`, and its first three neurons."""
    lines = results["inspect"]["output"]
    first = next(i for i, line in enumerate(lines) if re.match(r"N1\d+ +\d+%", line))
    head = next(i for i in range(first, 0, -1) if not lines[i - 1].strip())
    head += bool(re.fullmatch("[^a-z]+", lines[head]))  # the heading of the section
    return fenced([*lines[head : first + 3], "..."])


def _neuron_example(results):
    """Explain the first row of that table in words."""
    row = next(line for line in results["inspect"]["output"] if line.startswith("N14 "))
    rate, largest, smallest, most, least, cost, digit, of_digit = re.match(
        r"N14 +(\d+)% +(\d): \S+ +(\d): \S+ +(\d+) +(\d+) +(\S+)% +(\d): (\S+)%",
        row,
    ).groups()
    return (
        f"For example, N14 is active (above 0 after ReLU) for {rate} % of the training "
        f"images. Its mean output is largest for the digit {largest} and smallest for "
        f"the digit {smallest}. Test image {most} gives its largest sum, test image "
        f"{least} its smallest. Without N14, the accuracy on the test images is {cost} "
        f"percentage points lower, and that on the digit {digit} {of_digit} points."
    )


def _worksheet(results):
    lines = results["worksheet"]["output"]
    begin = next(i for i, line in enumerate(lines) if line.startswith("N28"))
    end = next(i for i in range(begin, len(lines)) if not lines[i].strip())
    return fenced(lines[begin:end])


def _weight(results):
    lines = results["weight"]["output"]
    last = next(i for i, line in enumerate(lines) if re.match(" *20 ", line))
    end = next(i for i in range(last, len(lines)) if not lines[i].strip())
    return fenced([*lines[:4], "...", *lines[last:end]])


def _against(results):
    lines = results["against"]["output"]
    first = next(i for i, line in enumerate(lines) if line.startswith("N12"))
    return fenced([*lines[: first + 1], "..."])


def _sweep(results):
    rows = [
        [
            row["hidden"],
            row["trained"],
            f"{100 * float(row['val/accuracy']):.2f} ± "
            f"{100 * float(row['val/accuracy std']):.2f} %",
            f"{int(row['parameters']):,}",
            f"{int(row['bytes']):,}",
            f"{float(row['seconds']):.1f}",
        ]
        for row in results["sweep"]["rows"]
    ]
    head = ["hidden", "trained", "validation accuracy", "parameters", "bytes"]
    return markdown([*head, "seconds"], *rows)


def _seeds(results):
    runs = results["seeds"]["metrics"]
    final = sorted(percent(run["final/train_accuracy"]) for run in runs)
    running = [f"{100 * run['train/accuracy']:.1f}" for run in runs]
    return (
        f"{', '.join(running)} %; the finished networks reach {final[0]} to {final[-1]}"
    )


def _benchmark(results):
    """Return the columns of each row that the benchmark of images printed."""
    rows = (re.split(r"  +", line.strip()) for line in results["images"]["output"])
    return {name: columns for name, *columns in rows}


def _images(results):
    """The accuracy on each kind of image, in two columns."""
    rows = _benchmark(results).items()
    cells = [[name, f"{row[1]} %"] for name, row in rows if len(row) > 3]
    half = len(cells) // 2
    pairs = zip(cells[:half], cells[half:], strict=True)
    head = ["images", "accuracy", "images", "accuracy"]
    return markdown(head, *([*left, *right] for left, right in pairs))


def _uncertainty(results):
    rows = _benchmark(results)
    scored, errors = results["sets"]["metrics"]["mnist"], results["sets"]["errors"]
    sure = scored["n"] * (1 - scored["unsure"])

    def between(beginning, column):
        values = [
            float(row[column])
            for name, row in rows.items()
            if name.startswith(beginning) and len(row) > column
        ]
        return f"{min(values):.1f} to {max(values):.1f}"

    return markdown(
        ["out of distribution", "%"],
        ["MNIST's test images", rows["ood: MNIST test"][0]],
        ["Fashion-MNIST's test images", rows["ood: Fashion-MNIST test"][0]],
        ["noise of 28x28 pixels", rows["ood: noise"][0]],
        ["**not sure, for any reason**", ""],
        ["MNIST's test images (seed 1)", f"{100 * scored['unsure']:.1f}"],
        ["clothes, preprocessed", between("unsure: clothes", 1)],
        ["noise of all sizes, preprocessed", between("unsure: noise", 1)],
        ["**errors on MNIST's test images**", ""],
        ["that are close between two digits", rows["errors that are close"][0]],
        [
            "that are not sure (seed 1)",
            f"{100 - 100 * errors['sure'] / errors['all']:.1f}",
        ],
        ["among the sure answers (seed 1)", f"{100 * errors['sure'] / sure:.1f}"],
    )


def _speed(results):
    rows = []
    for what, text in (
        ("epoch", "an epoch, with validation, logging and images"),
        ("whole command", "the whole command, 20 epochs, MLflow included"),
    ):
        ours, keras, ratio = results["speed"]["medians"][what]
        seconds = f"{ours:.{2 if ours < 1 else 1}f} s"
        rows.append([text, seconds, f"{keras:.1f} s", f"**{ratio:.2f}**"])
    return markdown(["", "here", "Keras", "ratio"], *rows)


RENDER = {
    "expected": _expected,
    "sets": _sets,
    "neurons": _neurons,
    "neuron_example": _neuron_example,
    "worksheet": _worksheet,
    "answer": lambda results: _answer(results)[1] + " %",
    "weight": _weight,
    "against": _against,
    "sweep": _sweep,
    "seeds": _seeds,
    "images": _images,
    "uncertainty": _uncertainty,
    "unprepared": lambda results: percent(
        results["unprepared"]["metrics"]["digits"]["accuracy"]
    ),
    "speed": _speed,
    "frozen": lambda results: f"{results['inspect']['summary']['never_learned']:,}",
    "by_chance": lambda results: str(
        results["inspect"]["summary"]["never_changed"]
        - results["inspect"]["summary"]["never_learned"]
    ),
    "parameters": lambda results: f"{results['inspect']['summary']['parameters']:,}",
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
