"""Measures the time of commands, each compared with a reference program.

    python tests/benchmarks/speed.py [rounds]

- A training run and one of its epochs: compared with the exercise's Keras code on
  TensorFlow. An epoch includes validation and, in this project, logging to MLflow and
  the image of the weights. The time of the whole command is the time from the start of
  the process to its end.
- predict and inspect: compared with a process that only imports PyTorch and MLflow.

The first run creates an environment for Keras (tests/benchmarks/.keras, 1.5 GB). In
each round, the programs run one after another. The benchmark prints the medians of the
times, and the medians of the ratios of each round. Runs are recorded in a temporary
folder. Three rounds take 4 minutes.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "outputs" / "data"


def rounded(value):
    """Return a number as text, with two significant digits and without an exponent."""
    return f"{float(f'{value:.2g}'):g}"


def read(part):
    """Return the images and the labels of a part of MNIST, in the exercise's units."""
    raw = DATA / "MNIST" / "raw"
    images = np.fromfile(raw / f"{part}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(raw / f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
    return images.reshape(-1, 28, 28) / 255.0, labels


def train_in_keras():
    """Train as in the Keras course; print the seconds of each epoch as JSON."""
    import keras

    times = []  # the start of the training run and the end of each epoch
    clock = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: times.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()),
    )
    model = keras.Sequential()
    model.add(keras.layers.Input((28, 28)))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(20, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    options = {"validation_data": read("t10k"), "callbacks": [clock], "verbose": 2}
    model.fit(*read("train"), epochs=20, **options)
    print(json.dumps(np.diff(times).tolist()))


def keras_python():
    """Return the Python of the environment for Keras, which is created if needed."""
    folder = Path(__file__).with_name(".keras")
    python = folder / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", "import keras"]).returncode:
        venv.create(folder, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "tensorflow-cpu>=2.18,<3"]
        subprocess.run(install, check=True)
    return python


def timed(*command, **environment):
    """Run a command; return its seconds and what it prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    start = time.perf_counter()
    printed = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    return time.perf_counter() - start, printed


def measure_keras(python):
    """Return the seconds of the Keras program, and the median of its epochs."""
    seconds, printed = timed(python, __file__, "keras")
    return seconds, statistics.median(json.loads(printed.splitlines()[-1]))


def measure_training(outputs):
    """Return the seconds of the default training run, and the median of its epochs."""
    from mlflow import MlflowClient  # not installed together with Keras

    seconds = measure_stage("train", outputs)
    run_id = json.loads((outputs / "train/run.json").read_text())["run_id"]
    client = MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
    # Between the records of two epochs lies one epoch, with its logging and images.
    history = client.get_metric_history(run_id, "val/loss")
    times = [metric.timestamp / 1000 for metric in history]
    return seconds, statistics.median(b - a for a, b in itertools.pairwise(times))


def measure_stage(stage, outputs):
    """Return the seconds of a stage with the defaults."""
    command = [sys.executable, "-m", f"pipeline.{stage}"]
    return timed(*command, PIPELINE_OUTPUTS=str(outputs))[0]


def measure_round(python, outputs):
    """Return pairs of seconds, of this project and of what it is compared with."""
    command, epoch = measure_training(outputs)
    keras_command, keras_epoch = measure_keras(python)
    imports, _ = timed(sys.executable, "-c", "import torch, mlflow")
    return {
        ("whole command", "Keras"): (command, keras_command),
        ("epoch", "Keras"): (epoch, keras_epoch),
        ("predict", "imports"): (measure_stage("predict", outputs), imports),
        ("inspect", "imports"): (measure_stage("inspect", outputs), imports),
    }


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    python = keras_python()
    timed(sys.executable, "-m", "pipeline.data")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder)
        (outputs / "data").symlink_to(DATA)
        # The first command creates the store and the components.
        timed(
            sys.executable, "-m", "pipeline.train", "epochs=1", PIPELINE_OUTPUTS=folder
        )
        for number in range(1, rounds + 1):
            measured.append(measure_round(python, outputs))
            print(f"round {number}: {[*measured[-1].values()]} s", flush=True)
    for names in measured[0]:
        pairs = [each[names] for each in measured]
        ours, other = map(statistics.median, zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        name, other_name = names
        times = f"{rounded(ours)} s, {other_name} {rounded(other)} s"
        print(f"{name}: {times}, ratio {rounded(ratio)}")


if __name__ == "__main__":
    train_in_keras() if sys.argv[1:] == ["keras"] else main()
