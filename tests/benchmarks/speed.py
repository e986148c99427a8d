"""Measures the speed of training beside the exercise's Keras code on TensorFlow.

    python tests/benchmarks/speed.py [rounds]

Creates an environment for Keras once (tests/benchmarks/.keras, 1.5 GB), then runs both
programs in turn, 20 epochs each, and prints medians and their ratios. An epoch of this
project includes validation, logging to MLflow and the image of the templates; the whole
command is the time from the start of the process to its end. Takes 5 minutes.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pipeline.cli.paths import outputs_dir

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KERAS = HERE / ".keras"


def keras_python():
    python = KERAS / "bin" / "python"
    ready = (
        python.exists()
        and not subprocess.run([python, "-c", "import keras"]).returncode
    )
    if not ready:
        subprocess.run([sys.executable, "-m", "venv", str(KERAS)], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "tensorflow-cpu"]
        subprocess.run(install, check=True)
    return python


def timed(*command):
    start = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout


def keras(python):
    whole, printed = timed(python, HERE / "keras_exercise.py", outputs_dir() / "data")
    return whole, statistics.median(json.loads(printed.splitlines()[-1]))


def ours():
    whole, _ = timed(sys.executable, "-m", "pipeline.train")
    from mlflow import MlflowClient

    run_id = json.loads((outputs_dir() / "train" / "run.json").read_text())["run_id"]
    client = MlflowClient(f"sqlite:///{outputs_dir() / 'mlflow.db'}")
    logged = client.get_metric_history(run_id, "val/loss")
    # Between the logging of two epochs lies a whole epoch with its images.
    marks = [metric.timestamp / 1000 for metric in logged]
    gaps = [b - a for a, b in itertools.pairwise(marks)]
    return whole, statistics.median(gaps)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    python = keras_python()
    subprocess.run([sys.executable, "-m", "pipeline.data"], cwd=ROOT, check=True)
    pairs = []
    for number in range(1, rounds + 1):
        pairs.append((ours(), keras(python)))
        (whole, epoch), (their_whole, their_epoch) = pairs[-1]
        print(
            f"round {number}: whole {whole:.1f} s, Keras {their_whole:.1f} s; "
            f"epoch {epoch:.3f} s, Keras {their_epoch:.3f} s",
            flush=True,
        )
    for what, place in (("whole command", 0), ("epoch", 1)):
        mine, theirs = (
            statistics.median(pair[side][place] for pair in pairs) for side in (0, 1)
        )
        ratio = statistics.median(pair[0][place] / pair[1][place] for pair in pairs)
        print(f"{what}: {mine:.3f} s, Keras {theirs:.3f} s, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
