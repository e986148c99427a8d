"""Measures exported networks: their accuracy, and their cost on microcontrollers.

    python tests/benchmarks/export.py

Trains the network of the exercise with seeds 1 to 3, exports it with each bit width,
and compares all implementations with the reference. Ends with status 1 if an
implementation differs or a bit width loses too much accuracy. Takes five minutes on two
cores, and needs the compilers and emulators that .ci/run installs. Tests check the
limits of flash, RAM and instructions.
"""

import multiprocessing
import re
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np

from pipeline import datasets
from pipeline.base.tables import table
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.threads import one_thread
from pipeline.deploy import export_quantized
from pipeline.deploy.checks import Outputs
from pipeline.deploy.exported_network import compared_images
from pipeline.integers import BIT_WIDTHS, QuantizedModel
from pipeline.model import load_trained_network, save_network
from pipeline.training.unrecorded_training import train_unrecorded

TESTS = Path(__file__).resolve().parent.parent
DATA = TESTS.parent / "outputs" / "data"
sys.path.append(str(TESTS / "deploy"))
from emulators import CORES, check_core  # noqa: E402

SEEDS = (1, 2, 3)
WORKERS = 2
# By bit width: the largest loss of accuracy in percentage points, as a mean over the
# seeds. Source: the aims of the project.
LIMITS = {8: 0.1, 4: 0.0, 2: 0.5, 1: 1.0}
NAMES = {bits: f"{bits} bit{'s' * (bits > 1)}" for bits in BIT_WIDTHS}


def measure(setting):
    """Train a network with a seed, export it, and run it on each emulated core.

    Returns the export, and the checks on the cores.
    """
    seed, bits = setting
    mnist = datasets.load("mnist", folder=DATA)
    with one_thread(), tempfile.TemporaryDirectory() as name:
        hyperparameters = Hyperparameters(**defaults() | {"seed": seed})
        trained = train_unrecorded(mnist, hyperparameters=hyperparameters)
        path = Path(name) / "model.safetensors"
        save_network(path, trained.network, trained.metadata)
        model = QuantizedModel.of(load_trained_network(path), mnist, bits=bits)
        exported = export_quantized(model)
        exported.write(Path(name))
        images = compared_images(model)
        expected = Outputs.of(model.integers, images)
        measured = len(mnist.test)
        options = Path(name), model.integers, images, expected
        cores = [check_core(core, *options, measured=measured) for core in CORES]
        return exported, cores


def accuracies(exports):
    """Return a table of the accuracy with each bit width and in floating point."""
    reports = [asdict(export.report) for export in exports]

    def mean(reports, key):
        return f"{np.mean([report[key] for report in reports]):.2%}"

    def points(gain):
        return f"{100 * gain:+.2f}"

    lines = [("float", mean(reports, "float_accuracy"), "", "", "", "")]
    for bits in BIT_WIDTHS:
        results = [report for report in reports if report["bits"] == bits]
        gains = [each["accuracy"] - each["float_accuracy"] for each in results]
        lines.append(
            (
                NAMES[bits],
                mean(results, "accuracy"),
                points(np.mean(gains)),
                f"{points(min(gains))} to {points(max(gains))}",
                mean(results, "same_predictions"),
                f"{results[0]['finetune']}",
            )
        )
    columns = ("weights", "accuracy", "change", "by seed", "same predictions")
    return table((*columns, "finetune"), lines, left=("weights",))


def costs(measurements):
    """Return a table of the means of the values that each emulated core measured."""
    measured = defaultdict(lambda: defaultdict(list))  # core and name, bit width
    for export, checks in measurements:
        for check in checks:
            core = re.sub(r"\S+-gcc", "gcc", check.name)  # without arm-none-eabi-
            for name, value in check.values.items():
                measured[core, name][export.integers.bits].append(value)
    lines = [
        (core, name, *(f"{np.mean(values[bits]):,.0f}" for bits in BIT_WIDTHS))
        for (core, name), values in measured.items()
    ]
    return table(("", "", *NAMES.values()), lines, left=("",))


def exceeded(exports):
    """Return a line for each bit width that loses too much accuracy."""
    lines = []
    for bits, limit in LIMITS.items():
        reports = [each.report for each in exports if each.integers.bits == bits]
        losses = [100 * (r.float_accuracy - r.accuracy) for r in reports]
        if (loss := np.mean(losses)) > limit:
            lines.append(f"{NAMES[bits]}: {loss:.2f} points are lost, limit {limit}")
    return lines


def main():
    # A forked process would inherit the state of PyTorch's threads without the threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, context) as workers:
        measurements = [*workers.map(measure, product(SEEDS, BIT_WIDTHS))]
    exports = [export for export, _ in measurements]
    checks = [[*export.checks, *cores] for export, cores in measurements]
    each = [check for of_export in checks for check in of_export]
    if skipped := {f"{c.name}: {c.skipped}" for c in each if c.skipped}:
        sys.exit("\n".join(sorted(skipped)))
    if differences := [f"{c.name}: {c.difference}" for c in each if c.difference]:
        sys.exit("\n".join(differences))
    compared = sum(check.images for check in each)
    print(f"{len(checks[0])} implementations of {len(exports)} networks are equal to")
    print(f"their reference on all images: {compared:,} comparisons.\n")
    print(accuracies(exports), costs(measurements), sep="\n\n")
    if lines := exceeded(exports):
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
