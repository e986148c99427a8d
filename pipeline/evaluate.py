"""Score a trained network on pictures that it has never seen, and on any others.

Reads outputs/train/ (or what run=<id> left, or model=<file>) and the sets, by default
the pictures that were watched in training: with the defaults MNIST's 10,000 test
pictures, of which 95.9 % are read rightly with a loss of 0.147. A folder among the sets
holds pictures with a labels.csv, in folders 0 to 9 or with the digit first in their
names, or a pair of IDX files. Writes to outputs/evaluate/ metrics.json, answers.csv,
classes.csv, confusion.csv, calibration.csv and scores.png, and the same into the MLflow
run that trained the network. Takes 4 s.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import EvaluateConfig, outputs_dir, progress, stage, store_dir
from pipeline.files import printable

if TYPE_CHECKING:
    from pipeline.evaluation.results import EvaluationResult
    from pipeline.tracking import Run

MEANING = """
In 10,000 pictures 0.1 % are ten, and the interval says how much is chance. Pictures
that a network learned from are read better than others, for it has seen them again
and again: so validation is below training. Where confidence is above accuracy the
network is surer than it should be; calibration error is how far they are apart on
average."""
MISTAKES = 20  # of each set that MLflow shows, the most confident first


def evaluate(cfg: EvaluateConfig) -> None:
    """Load, compute, write, in this order."""
    import torch

    from pipeline import files, tracking
    from pipeline.evaluation import test_sets
    from pipeline.evaluation.results import EvaluationResult
    from pipeline.training import load_trained, load_training_data

    torch.set_num_threads(1)
    outputs, store = outputs_dir(), store_dir()
    trained = load_trained(
        run=cfg.run, model=cfg.model, outputs=outputs, store=store, detector=True
    )
    dataset = load_training_data(trained, outputs=outputs)
    scored: list[EvaluationResult] = []
    lost: list[str] = []
    prepare = cfg.prepare if trained.prepared_as_mnist else bool(cfg.prepare)
    sets: list[str | None] = [*cfg.sets] if cfg.sets else [None]
    for name in sets:
        shown = progress(f"preparing {name or dataset.name}")
        folder = outputs_dir() / "data"
        try:
            if name is None or name == trained.dataset:
                split = None if name else trained.split
                test = test_sets.own_test_set(
                    dataset, split, prepare=prepare, shown=shown
                )
            else:
                test = test_sets.load_test_set(
                    name, folder=folder, prepare=prepare, shown=shown
                )
        except (ValueError, FileNotFoundError) as error:
            if len(sets) == 1:
                raise
            lost.append(str(error))
            continue
        lost += test.problems
        test = test_sets.with_unique_name(test, [one.test.name for one in scored])
        print(f"{test.name}: {test.told}")
        scored.append(EvaluationResult.of(test, trained.network, trained.detector))
    if not scored:
        raise ValueError("\n  ".join(["nothing could be scored", *lost]))
    tracker = tracking.open_tracker(cfg.tracking, store_dir(), server=cfg.server)
    with (
        tracker.reopen_run(run_id=trained.run_id, weights_sha256=trained.sha256) as run,
        files.atomic_folder(outputs_dir() / "evaluate") as written,
    ):
        _write(scored, written)
        run.log_files("evaluate", sorted(written.iterdir()))
        for one in scored:
            _record(one, run, step=trained.epochs)
    _print(scored, run)
    if lost:
        raise ValueError("\n  ".join(["not all could be scored", *lost]))


def _write(scored: Sequence["EvaluationResult"], folder: Path) -> None:
    """Write numbers, answers and pictures of all sets."""
    from pipeline import files, plots

    numbers = {one.test.name: one.numbers for one in scored}
    text = json.dumps(numbers, indent=1)
    (folder / "metrics.json").write_text(text + "\n")
    for name, parts in (
        ("answers.csv", [one.rows() for one in scored]),
        ("classes.csv", [one.classes() for one in scored]),
        ("confusion.csv", [one.confusion() for one in scored]),
        ("calibration.csv", [one.calibration() for one in scored]),
    ):
        rows = [row for part in parts for row in part]
        files.write_csv(folder / name, rows)
    plots.stack_images([one.picture() for one in scored]).save(folder / "scores.png")


def _record(one: "EvaluationResult", run: "Run", *, step: int) -> None:
    """Record the scores of a set, the set itself and its most confident mistakes."""
    import time

    from PIL import Image

    name = one.test.name
    run.log_metrics(
        {f"evaluate/{name}/{k}": v for k, v in one.numbers.items()},
        step=step,
        time=time.time_ns() // 1_000_000,
    )
    run.log_dataset(
        name,
        sha256=one.test.sha256,
        source=one.test.told,
        counts={"pictures": len(one.labels)},
        use="evaluation",
    )
    rows = one.rows()
    wrong = [at for at, row in enumerate(rows) if row["label"] != row["answer"]]
    wrong.sort(key=lambda at: -rows[at]["confidence"])
    mistakes = [
        {"picture": Image.fromarray(one.test.pictures.images[at]).resize((84, 84), 0)}
        | {**rows[at], "file": printable(rows[at]["file"])}
        for at in wrong[:MISTAKES]
    ]
    if mistakes:
        run.log_table(f"evaluate/{name}-mistakes.json", mistakes)


def _print(scored: Sequence["EvaluationResult"], run: "Run") -> None:
    """Print a line for each set, and what the numbers mean."""
    width = max(len(one.test.name) for one in scored)
    print(
        f"\n{'':{width}}  pictures   accuracy   95% interval      loss"
        "   confidence   calibration error   unsure"
    )
    for one in scored:
        found = one.numbers
        print(
            f"{one.test.name:{width}}  {found['n']:8,}   {found['accuracy']:8.2%}"
            f"   {found['accuracy_low']:6.1%}-{found['accuracy_high']:.1%}"
            f"   {found['loss']:7.4f}   {found['confidence']:10.1%}"
            f"   {found['calibration_error']:17.1%}   {found['unsure']:6.1%}"
        )
    print(MEANING)
    print(f"\nfiles  {outputs_dir() / 'evaluate'}\n{run.viewing_hint()}", end="")


if __name__ == "__main__":
    stage(evaluate, EvaluateConfig)
