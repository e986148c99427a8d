"""Measures how much the weights of one training run differ between processors.

    python tests/benchmarks/processors.py             about 5 minutes on two idle cores
    python tests/benchmarks/processors.py --emulated  needs qemu-user; 10 minutes

`grade` trains the assigned network again, possibly on a different processor than the
student's. This benchmark measures where the limit between "the assigned weights, up to
differences between processors" and "a different training run" must be.

PyTorch and Intel's MKL choose their instructions by the processor. Two environment
variables make PyTorch and MKL use the instructions of an older processor. For each of
ten seeds, the default network is trained with the instructions of this processor and
with older instructions. The network is also trained with 19 epochs, with lr=0.0011 and
with the next seed, as different training runs.

Emulated processors are 200 to 600 times slower. With --emulated, only the first steps
are compared, including those with older instructions.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from pipeline import datasets
from pipeline.base.tables import table
from pipeline.cli import defaults
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.threads import one_thread
from pipeline.teaching.grading import Assigned, compare

DATA = Path(__file__).resolve().parents[2] / "outputs" / "data"
SEEDS = range(1, 11)
OTHER_LR = 0.0011
HERE = "this processor"
# Environment variables of PyTorch and MKL that switch instructions off.
OLDER = {
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "SSE4.2": {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}
EMULATED = ("Haswell", "EPYC-Rome", "Icelake-Server", "Nehalem")
STEPS = 100  # training steps on an emulated processor


def train(folder, *, images, seeds, lr, epochs):
    """Train a network with each seed; store its weights after the last two epochs."""
    arrays = load_file(images)
    data = LabeledImages(arrays["images"], arrays["labels"])
    one_image = data.pick(slice(1))  # so that validation is short
    dataset = Dataset(DataFile(Path(images), ""), train=data, test=one_image)
    for seed in seeds:
        settings = defaults() | {"seed": seed, "lr": lr, "epochs": epochs}
        with one_thread():
            trained = [*train_network(dataset, Hyperparameters(**settings))]
        before, after = (
            np.concatenate([array.ravel() for array in epoch.tensors.values()])
            for epoch in trained[-2:]
        )
        path = folder / f"{seed}.safetensors"
        save_file({"before": before, "after": after}, path)
        print(path, flush=True)


def start(folder, images, seeds, *, lr=0.001, epochs=20, qemu=(), variables=None):
    """Start a process that trains networks, and return it.

    Args:
        folder: Where the process writes the weights.
        images: The file with the images.
        seeds: A network is trained with each seed.
        lr: The learning rate.
        epochs: The number of epochs.
        qemu: The command of an emulator.
        variables: Environment variables.
    """
    folder.mkdir()
    settings = [f"--lr={lr}", f"--epochs={epochs}", "--seeds", *map(str, seeds)]
    program = [sys.executable, __file__, f"--train={folder}", f"--images={images}"]
    environment = os.environ | {"PYTHONPATH": str(DATA.parents[1])}
    environment |= variables or {}
    return subprocess.Popen([*qemu, *program, *settings], env=environment)


def wait(processes):
    """Wait for all processes, and raise an error if one has failed."""
    assert not any([process.wait() for process in processes])


def weights(folder, name, seed, epoch="after"):
    return load_file(folder / name / f"{seed}.safetensors")[epoch]


def compare_trainings(folder, images):
    """Train all networks, and print a table of the differences."""
    lr = f"lr={OTHER_LR}"
    wait(
        [
            start(folder / HERE, images, [*SEEDS, max(SEEDS) + 1]),
            *(start(folder / x, images, SEEDS, variables=OLDER[x]) for x in OLDER),
            start(folder / lr, images, SEEDS, lr=OTHER_LR),
        ]
    )
    found = {}
    for seed in SEEDS:
        others = {name: weights(folder, name, seed) for name in (*OLDER, lr)}
        others["19 epochs"] = weights(folder, HERE, seed, "before")
        others["the next seed"] = weights(folder, HERE, seed + 1)
        for name, array in others.items():
            here = weights(folder, HERE, seed)
            found.setdefault(name, []).append(differences(here, array))
    print_table(found, "20 epochs, 10 seeds")


def compare_steps(folder, images):
    """Train for a few steps on emulated processors, and print the differences.

    Args:
        folder: Where the weights are written.
        images: The file with the images of these steps.
    """
    kinds = {HERE: {}} | {name: {"variables": OLDER[name]} for name in OLDER}
    kinds |= {f"{x}, emulated": {"qemu": ("qemu-x86_64", "-cpu", x)} for x in EMULATED}
    kinds[f"lr={OTHER_LR}"] = {"lr": OTHER_LR}
    for name, settings in kinds.items():
        wait([start(folder / name, images, [1], epochs=1, **settings)])
    here = weights(folder, HERE, 1)
    found = {x: [differences(here, weights(folder, x, 1))] for x in kinds}
    print_table(found, f"{STEPS} steps")


def differences(one, other):
    """Compare two arrays of weights.

    Returns:
        The largest and the median absolute difference, and whether `grade` considers
        them the same training run.
    """
    difference = np.abs(one - other)
    network, assigned = {"weights": one}, {"weights": other}
    # The changes of the last epoch are compared only for different training runs.
    found = compare(network, Assigned(assigned, before=assigned))
    is_same = found.training.is_assigned
    return float(difference.max()), float(np.median(difference)), is_same


def print_table(found, title):
    """Print the smallest and the largest of the differences of each kind."""
    rows = []
    for name, compared in found.items():
        largest, median, is_same = zip(*compared, strict=True)
        cells = [f"{f(values):.2g}" for values in (largest, median) for f in (min, max)]
        rows.append([name, *cells, f"{sum(is_same)} of {len(is_same)}"])
    columns = ["largest: min", "max", "median: min", "max", "same training"]
    print(table([title, *columns], rows, left=[title]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("--train", type=Path, help="used by this program itself")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--epochs", type=int)
    chosen = parser.parse_args()
    if chosen.train:
        settings = {"seeds": chosen.seeds, "lr": chosen.lr, "epochs": chosen.epochs}
        train(chosen.train, images=chosen.images, **settings)
        return
    data = datasets.load("mnist", folder=DATA).train
    count = STEPS * defaults()["batch_size"] if chosen.emulated else len(data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = folder / "images.safetensors"
        arrays = {"images": data.images[:count], "labels": data.labels[:count]}
        save_file(arrays, images)
        (compare_steps if chosen.emulated else compare_trainings)(folder, images)


if __name__ == "__main__":
    main()
