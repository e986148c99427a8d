"""Measures how much the weights of one training run differ between processors.

    python tests/benchmarks/processors.py             about 8 minutes on an idle core
    python tests/benchmarks/processors.py --emulated  needs qemu-user; 10 minutes

`grade` trains the assigned network again, perhaps on another processor than the
student's. This benchmark measures where the limit between "the same training on another
processor" and "another training" must be.

PyTorch chooses its instructions by the processor. `ATEN_CPU_CAPABILITY` makes it use
those of an older one. For each of ten seeds, the default network is trained with the
instructions of this processor, with AVX2 and with neither AVX2 nor AVX-512; and, as
another training, with 19 epochs, with lr=0.0011 and with the next seed.

Emulated processors are 200 to 600 times slower, so with --emulated only the first steps
are compared, also with those of the other instructions.
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
from pipeline.base.text import table
from pipeline.cli import defaults
from pipeline.core.dataset import LabeledImages, Split
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.threads import one_thread

DATA = Path(__file__).resolve().parents[2] / "outputs" / "data"
SEEDS = range(1, 11)
OTHER_LR = 0.0011
INSTRUCTIONS = ("avx2", "default")  # values of ATEN_CPU_CAPABILITY
EMULATED = ("Haswell", "EPYC-Rome", "Icelake-Server", "Nehalem")
STEPS = 100  # of an emulated processor


def vector(tensors):
    """Return all weights and biases as one array."""
    return np.concatenate([array.ravel() for array in map(np.asarray, tensors)])


def train(path, *, images, seed=1, lr=0.001, epochs=20):
    """Train a network on the images in a file; store its weights after each epoch."""
    arrays = load_file(images)
    data = LabeledImages(arrays["images"], arrays["labels"])
    settings = defaults() | {"seed": seed, "lr": lr, "epochs": epochs}
    one_image = LabeledImages(data.images[:1], data.labels[:1])  # none is validated
    with one_thread():
        split = Split(data, one_image)
        _, trained = train_network(split, Hyperparameters(**settings))
    weights = [vector(epoch.tensors.values()) for epoch in trained]
    save_file({str(epoch): array for epoch, array in enumerate(weights)}, path)


def trained_elsewhere(images, *, qemu=(), instructions=None, **settings):
    """Train a network in another process; return its weights after each epoch.

    Args:
        images: The file with the images.
        qemu: The command of an emulator.
        instructions: The value of ATEN_CPU_CAPABILITY; None is this processor's.
        settings: Some of `train`.
    """
    environment = {**os.environ, "PYTHONPATH": str(DATA.parents[1])}
    if instructions:
        environment["ATEN_CPU_CAPABILITY"] = instructions
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        keys = [f"--{key}={value}" for key, value in settings.items()]
        program = [sys.executable, __file__, f"--train={path}", f"--images={images}"]
        subprocess.run([*qemu, *program, *keys], check=True, env=environment)
        arrays = load_file(path)
    return [arrays[str(epoch)] for epoch in range(len(arrays))]


def differences(one, other):
    """Return the largest and the median absolute difference of two arrays."""
    difference = np.abs(one - other)
    return float(difference.max()), float(np.median(difference))


def compare_trainings(images):
    """Train all networks; print a table of the differences."""
    here = {seed: trained_elsewhere(images, seed=seed) for seed in (*SEEDS, 11)}
    found = {}
    for seed in SEEDS:
        others = {f"ATEN_CPU_CAPABILITY={x}": {"instructions": x} for x in INSTRUCTIONS}
        others[f"lr={OTHER_LR}"] = {"lr": OTHER_LR}
        weights = {
            name: trained_elsewhere(images, seed=seed, **settings)[-1]
            for name, settings in others.items()
        }
        weights |= {"19 epochs": here[seed][-2], "the next seed": here[seed + 1][-1]}
        for name, array in weights.items():
            found.setdefault(name, []).append(differences(here[seed][-1], array))
            print(f"seed {seed:2}  {name:27}  {found[name][-1]}", flush=True)
    print_table(found, "training")


def compare_steps(images):
    """Train for a few steps on emulated processors; print a table of the differences.

    Args:
        images: The file with the images of these steps.
    """
    (here,) = trained_elsewhere(images, epochs=1)[1:]
    others = {f"ATEN_CPU_CAPABILITY={x}": {"instructions": x} for x in INSTRUCTIONS}
    others |= {f"{x}, emulated": {"qemu": ("qemu-x86_64", "-cpu", x)} for x in EMULATED}
    others |= {f"lr={OTHER_LR}": {"lr": OTHER_LR}, "seed 2": {"seed": 2}}
    found = {}
    for name, settings in others.items():
        array = trained_elsewhere(images, epochs=1, **settings)[-1]
        found[name] = [differences(here, array)]
        print(f"{name:27}  {found[name][-1]}", flush=True)
    print_table(found, f"{STEPS} steps")


def print_table(found, title):
    """Print the smallest and the largest of the differences of each kind."""
    rows = []
    for name, pairs in found.items():
        largest, median = zip(*pairs, strict=True)
        cells = [f"{f(values):.2g}" for values in (largest, median) for f in (min, max)]
        rows.append([name, *cells])
    columns = ["largest: min", "max", "median: min", "max"]
    print(table([title, *columns], rows, left=[title]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("--train", type=Path, help="used by this program itself")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--epochs", type=int, default=20)
    chosen = parser.parse_args()
    if chosen.train:
        settings = {"seed": chosen.seed, "lr": chosen.lr, "epochs": chosen.epochs}
        train(chosen.train, images=chosen.images, **settings)
        return
    data = datasets.load("mnist", folder=DATA).train
    count = STEPS * defaults()["batch_size"] if chosen.emulated else len(data)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.safetensors"
        arrays = {"images": data.images[:count], "labels": data.labels[:count]}
        save_file(arrays, images)
        (compare_steps if chosen.emulated else compare_trainings)(images)


if __name__ == "__main__":
    main()
