"""Measures sweeps: their time, compared with their training alone, and their size.

    python tests/benchmarks/sweeps.py

Takes five minutes. Each sweep runs with two workers and an empty store. The limits are
goals for two cores that do nothing else; with other programs, the times are longer.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "outputs" / "data"
WORKERS = 2


@contextmanager
def new_outputs():
    """Yield a folder for results, with the data of the project and an empty store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").symlink_to(DATA)
        yield folder


def start(folder, *arguments):
    """Start a sweep as a command."""
    command = [sys.executable, "-u", "-m", "pipeline.train"]
    environment = {**os.environ, "PIPELINE_OUTPUTS": str(folder)}
    return subprocess.Popen(
        [*command, *arguments, f"workers={WORKERS}"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )


def timed(folder, *arguments):
    """Run a sweep; return its seconds, and the seconds of its training on one core."""
    begin = time.perf_counter()
    process = start(folder, *arguments)
    process.communicate()
    seconds = time.perf_counter() - begin
    if process.returncode:
        sys.exit(f"the sweep {' '.join(arguments)} failed")
    return seconds, training_seconds(folder)


def training_seconds(folder):
    (table,) = folder.glob("sweeps/*/sweep.csv")
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    return sum(float(row["seconds"]) * int(row["trained"]) for row in rows)


def first_lines(folder, *arguments):
    """Return the seconds until a sweep prints something, and its first result."""
    begin = time.perf_counter()
    process = start(folder, *arguments)
    first = None
    for line in process.stdout:
        first = first or time.perf_counter() - begin
        if "val/accuracy" in line:
            break
    result = time.perf_counter() - begin
    process.send_signal(signal.SIGINT)
    process.communicate()
    return first, result


class Arrived:
    """An executor whose results have already arrived, so only recording takes time."""

    workers = 1

    def __init__(self, value, processor):
        self.value, self.processors = value, frozenset([processor])

    def run(self, function, tasks):
        from pipeline.execution.executor import TaskResult

        begin, cpu = time.perf_counter(), time.process_time()
        for task in tasks:
            yield TaskResult(task.job, self.value)
        self.seconds = time.perf_counter() - begin
        self.cpu = time.process_time() - cpu

    def stop(self):
        pass


def record(folder, count):
    """Record children as fast as possible; return the executor and the bytes of all."""
    os.environ["PIPELINE_OUTPUTS"] = str(folder)
    from pipeline import datasets
    from pipeline.cli import TrainConfig, defaults
    from pipeline.cli.arguments import parse
    from pipeline.core.hyperparameters import Hyperparameters
    from pipeline.records.software import processor
    from pipeline.sweeps import sweep
    from pipeline.training.unrecorded_training import train_unrecorded

    chosen = Hyperparameters(**defaults())
    data = datasets.load("mnist", folder=folder / "data")
    trained = train_unrecorded(data, hyperparameters=chosen)
    executor = Arrived(trained, processor())
    sweep._new_executor = lambda *_: nullcontext(executor)
    sizes = []
    with redirect_stdout(io.StringIO()):
        for words in ("seed=0", seeds(count)):  # the first also creates the store
            command = parse(["-m", words, "again=true"], TrainConfig)
            sweep.train_sweep(command)
            files = (path for path in folder.rglob("*") if "data" not in path.parts)
            sizes.append(sum(path.stat().st_size for path in files if path.is_file()))
    return executor, sizes[1] - sizes[0]


def seeds(count):
    return f"seed={','.join(map(str, range(1, count + 1)))}"


def measure():
    """Yield a row for each measurement: its name, value and unit, and the limit."""
    with new_outputs() as folder:
        seconds, training = timed(folder, "-m", seeds(16), "epochs=20")
        single, limit = training / 16, 1.25 * training / WORKERS + 6
        yield "16 training runs of 20 epochs", seconds, "s", limit
        yield "  training time, divided by two", training / WORKERS, "s", None
        again, _ = timed(folder, "-m", seeds(16), "epochs=20")
        yield "  the same command again", again, "s", 3
    with new_outputs() as folder:
        seconds, training = timed(folder, "-m", seeds(200), "epochs=1")
        yield "200 training runs of one epoch", seconds, "s", 60
        yield "  training time, divided by two", training / WORKERS, "s", None
    with new_outputs() as folder:
        first, result = first_lines(folder, "-m", seeds(2000), "epochs=1")
        yield "2,000 training runs: the first line", first, "s", 3
        yield "  the first result", result, "s", 10
    with new_outputs() as folder:
        seconds, training = timed(folder, "experiment=hidden_sizes")
        yield "experiment=hidden_sizes", seconds, "s", None
        yield "  training time, divided by two", training / WORKERS, "s", None
    with new_outputs() as folder:
        count = 100
        executor, size = record(folder, count)
        yield "recording a run of 20 epochs", executor.seconds / count, "s", 0.25
        share = 100 * executor.cpu / executor.seconds
        yield "  CPU utilization while recording", share, "%", None
        yield "  size of a run with 20 neurons", size / count / 1e6, "MB", 1.6
        cores = single * count / executor.seconds
        yield "cores that one process can keep busy", cores, "", None


def main():
    print(f"{'':36} {'measured':>12} {'limit':>12}", flush=True)
    rows = []
    for name, value, unit, limit in measure():
        rows.append([name.strip(), value, unit, limit])
        goal = f"{limit:9.2f} {unit:2}" if limit else ""
        unit = unit if unit == "%" else f" {unit}"
        print(f"{name:36} {value:9.2f}{unit:3} {goal:>12}".rstrip(), flush=True)
    print("\n" + json.dumps(rows))


if __name__ == "__main__":
    main()
