"""Compares accuracy and flash with and without straightening.

    python tests/benchmarks/upright.py [plot.png]

Trains networks of five sizes with five seeds on mnist and on mnist_upright, exports
them with 8 bits, and compiles them for a Cortex-M0. The flash of a network
trained on mnist_upright includes the function that straightens an image. The benchmark
takes eight minutes on an idle core.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline import datasets
from pipeline.base.tables import table
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.threads import one_thread
from pipeline.deploy.c_source import write_source
from pipeline.evaluation import preprocess_for
from pipeline.evaluation.test_sets import find_test_set
from pipeline.integers import QuantizedModel
from pipeline.model import load_trained_network, save_network
from pipeline.plots.accuracy import AccuracyPoint, accuracy_plot
from pipeline.training.unrecorded_training import train_unrecorded

TESTS = Path(__file__).resolve().parent.parent
DATA = TESTS.parent / "outputs" / "data"
sys.path.append(str(TESTS / "deploy"))
from emulators import CORTEX_M0_GCC, flash_of, straighten_on  # noqa: E402

SIZES = (10, 15, 20, 30, 40)
SEEDS = (1, 2, 3, 4, 5)
OTHER = "digits"  # its digits are not from the writers of MNIST


def measure(dataset, other, hyperparameters):
    """Train and export a network; return its accuracies and its flash in bytes."""
    trained = train_unrecorded(dataset, hyperparameters=hyperparameters)
    predicted = trained.network.classify(other.images)
    labels = np.array(other.source.labels)
    with tempfile.TemporaryDirectory() as folder:
        model = quantize(trained, dataset, Path(folder))
        write_source(model, Path(folder))
        flash = flash_of(CORTEX_M0_GCC, Path(folder))
    exported = model.integers.classify(dataset.test.images)
    accuracy = float((exported == dataset.test.labels).mean())
    return accuracy, float((predicted == labels).mean()), flash


def quantize(trained, dataset, folder):
    """Write a network to a folder, and return it with 8 bits."""
    path = folder / "model.safetensors"
    save_network(path, trained.network, trained.metadata)
    return QuantizedModel.of(load_trained_network(path), dataset, bits=8)


def straightening_flash(images):
    """Return the bytes of flash that the function `digits_straighten` takes."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = datasets.load("mnist_upright", folder=DATA)
        hyperparameters = Hyperparameters(**defaults() | {"epochs": 1, "hidden": 1})
        trained = train_unrecorded(dataset, hyperparameters=hyperparameters)
        write_source(quantize(trained, dataset, Path(folder)), Path(folder))
        return straighten_on(CORTEX_M0_GCC, Path(folder), images)[1]["flash"]


def main():
    rows, lines = [], {}
    for name in ("mnist", "mnist_upright"):
        dataset = datasets.load(name, folder=DATA)
        source = find_test_set(OTHER, dataset=dataset, split="exercise")
        other = preprocess_for(datasets.spec(name), source)
        is_upright = datasets.spec(name).is_upright
        more = straightening_flash(dataset.test.images[:10]) if is_upright else 0
        for hidden in SIZES:
            results = []
            for seed in SEEDS:
                chosen = {"hidden": hidden, "seed": seed}
                with one_thread():
                    hyperparameters = Hyperparameters(**defaults() | chosen)
                    results.append(measure(dataset, other, hyperparameters))
            accuracies, others, sizes = zip(*results, strict=True)
            flash = max(sizes) + more
            point = AccuracyPoint(round(flash / 1000, 1), accuracies, f"{hidden}")
            lines.setdefault(name, []).append(point)
            values = [np.mean(accuracies), min(accuracies), max(accuracies)]
            texts = [f"{value:.1%}" for value in (*values, np.mean(others))]
            rows.append([name, f"{hidden}", f"{flash:,}", *texts])
            print(*rows[-1], file=sys.stderr, flush=True)
    columns = ("data set", "hidden", "flash", "accuracy", "lowest", "highest", OTHER)
    print(table(columns, rows, left=("data set",)))
    if sys.argv[1:]:
        title = "Accuracy against flash: 8 bits, Cortex-M0"
        title += "\nFlash of mnist_upright includes straightening"
        plot = accuracy_plot(
            lines,
            xlabel="flash (KB); second line: hidden neurons",
            ylabel="accuracy on the test images",
            title=title,
        )
        plot.save(sys.argv[1])


if __name__ == "__main__":
    main()
