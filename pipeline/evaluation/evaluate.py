"""The command `evaluate`: evaluates a network on test sets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import ConfigError, PartlyFailed, UserError, tracking
from pipeline.base.error_messages import is_user_error
from pipeline.base.paths import data_dir, displayed, store_dir
from pipeline.base.progress import busy
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.tables import table
from pipeline.base.terminal import say
from pipeline.base.text import (
    command_line,
    counted,
    next_steps,
    readable,
    short_repr,
    wrap,
)
from pipeline.cli import EvaluateConfig, expected_params
from pipeline.core.dataset import Dataset
from pipeline.evaluation.inputs import preprocess_for
from pipeline.evaluation.predictions import Predictions, classify
from pipeline.evaluation.result_files import write_results
from pipeline.evaluation.scores import score
from pipeline.evaluation.sentences import describe_result, with_other_classes
from pipeline.evaluation.test_sets import find_test_set
from pipeline.images import ImageSet
from pipeline.model import (
    Detector,
    TrainedNetwork,
    load_detector,
    load_training_data,
    select_network,
)

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

UNSURE = "unsure: do not rely on these predictions; predictions.csv says why"

Metrics = dict[str, dict[str, float | int]]  # metrics by the name of the set


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of a network for several test sets."""

    results: tuple[Predictions, ...]
    metrics: Metrics  # the content of metrics.json: the metrics of each set
    folder: Path  # the folder of the files; in the store if they are recorded
    run_id: str | None  # the MLflow run of the network
    copied: bool | None  # whether the server has a complete copy; None without a server

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all images."""
        accuracy = {name: readable(x["accuracy"]) for name, x in self.metrics.items()}
        locations = {"run_id": self.run_id, "folder": self.folder}
        return short_repr(self, accuracy=accuracy, **locations)


def evaluate(cfg: EvaluateConfig, folder: Path | None) -> Evaluation:
    """Load the network and the test sets, evaluate, write and record the results.

    `folder` is the argument `folder` of a call from Python; see `Command.folder`.
    """
    own = ResultsFolder("evaluate", folder)
    store = store_dir()
    with busy("loading the network"):
        trained = select_network(
            run=cfg.run,
            model=cfg.model,
            store=store,
            server=cfg.server,
            expected=expected_params(),
        )
    dataset = load_training_data(trained, folder=data_dir())
    tracker = tracking.new_tracker(store, server=cfg.server, experiment=cfg.recorded_in)
    detector = load_detector(trained, folder=data_dir())
    results, problems = _evaluate_sets(cfg, trained, dataset, detector)
    metrics = {result.source.name: score(result) for result in results}
    with (
        tracker.reopen_run(
            run_id=trained.run_id, weights_sha256=trained.weights_sha256
        ) as run,
        busy("writing and recording the results"),
        own.new() as partial,
    ):
        write_results(results, metrics, partial)
        run.record(_log_evaluation, results, metrics, sorted(partial.iterdir()))
    say(f"\n{_metrics_table(metrics)}\n")
    if any(result.has_all_reasons and result.is_unsure.any() for result in results):
        say(f"{UNSURE}\n")
    for result in results:
        say("\n".join(map(wrap, describe_result(result))) + "\n")
    if not all(result.has_all_reasons for result in results):
        say(wrap(f"{detector.missing}, so unsure predictions are not counted") + "\n")
    say(f"{command_line('evaluate', '--help')} explains the columns.\n")
    say(f"plot   {displayed(own.path / 'scores.png')}")
    say(f"files  {displayed(own.path)}\n{run.viewing_hint()}", end="")
    command = command_line("inspect", run=cfg.run, model=cfg.model)
    say(next_steps({command: "explains the network"}))
    lasting = own.lasting_folder(run.artifacts)
    evaluation = Evaluation(tuple(results), metrics, lasting, run.run_id, run.copied)
    if problems:
        message = "\n  ".join(["not all images were evaluated", *problems])
        raise PartlyFailed(message, evaluation)
    return evaluation


def _evaluate_sets(
    cfg: EvaluateConfig, trained: TrainedNetwork, dataset: Dataset, detector: Detector
) -> tuple[list[Predictions], list[str]]:
    """Evaluate each set; return the results and a line for each problem."""
    results: list[Predictions] = []
    problems: list[str] = []
    names: Sequence[str | None] = cfg.sets or [None]
    for name in names:
        try:
            source = find_test_set(name, dataset=dataset, split=trained.split)
            source = _unique(source, results)
            preprocessed = preprocess_for(trained.spec, source, as_mnist=cfg.prepare)
        except (UserError, OSError) as error:
            if len(names) == 1 or isinstance(error, ConfigError):
                raise
            if not is_user_error(error):
                raise
            problems.append(str(error))
            continue
        problems += preprocessed.source.problems
        say(wrap(f"{preprocessed.source.name}: {preprocessed.description}"))
        with busy(f"evaluating {preprocessed.source.name}"):
            results.append(classify(preprocessed, trained, detector))
    if not results:
        raise UserError("\n  ".join(["no test set could be evaluated", *problems]))
    return results, problems


def _unique(source: ImageSet, others: Sequence[Predictions]) -> ImageSet:
    """Add a number to the name of a set if another set has the same name."""
    names = [each.source.name for each in others]
    name = source.name
    number = 1
    while name in names:
        number += 1
        name = f"{source.name}-{number}"
    return replace(source, name=name)


def _log_evaluation(
    run: "MlflowRun",
    results: Sequence[Predictions],
    metrics: Metrics,
    paths: Sequence[Path],
) -> None:
    """Log the files of an evaluation, its description, and the results on each set."""
    run.log_files("evaluate", paths)
    run.add_results(_description(run, results, metrics))
    for result in results:
        _log_result(run, result, metrics[result.source.name])


def _description(
    run: "MlflowRun", results: Sequence[Predictions], metrics: Metrics
) -> dict[str, str]:
    """Return the accuracy on each set, and links to the files, in Markdown.

    The description keeps the accuracy on the sets of earlier evaluations.
    """
    links = [
        run.link("confusion matrix", "artifacts/evaluate/scores.png"),
        run.link("mistakes", "artifacts/evaluate/mistakes.png"),
        run.link("classes.csv", "artifacts/evaluate/classes.csv"),
    ]
    return {
        f"Accuracy on {(name := result.source.name)}": (
            f"{metrics[name]['accuracy']:.2%} of {counted(len(result), 'image')}"
            f"{with_other_classes(result)}"
        )
        for result in results
    } | {"Last evaluation": f"{', '.join(metrics)} ({', '.join(links)})"}


def _log_result(
    run: "MlflowRun", result: Predictions, metrics: dict[str, float | int]
) -> None:
    """Log loss and accuracy of a set, and its hash; the files have all metrics.

    MLflow draws a bar for a metric whose only value is at step 0. MLflow sorts sections
    by name, so the sections of test sets follow the learning curves and the weights.
    """
    section = f"with_test_set/{result.source.name}"
    logged = {f"{section}/{key}": metrics[key] for key in ("accuracy", "loss")}
    run.log_metrics(logged, step=0)
    labels = np.array(result.source.labels, np.uint8)  # every image has a label
    content = result.preprocessed.images.tobytes() + labels.tobytes()
    run.log_dataset(
        result.source.name,
        sha256=hashlib.sha256(content).hexdigest(),
        source=result.preprocessed.description,
        counts={"images": len(result)},
        use="evaluation",
    )


def _metrics_table(metrics: Metrics) -> str:
    """Return a table of the metrics of each set."""
    rows = [
        {
            "set": name,
            "images": f"{values['n']:,}",
            "accuracy": f"{values['accuracy']:.2%}",
            "95% CI": f"{100 * values['accuracy_low']:.1f}-"
            f"{values['accuracy_high']:.1%}",
            "loss": f"{values['loss']:.4f}",
            "confidence": f"{values['confidence']:.1%}",
            "ECE": f"{values['calibration_error']:.1%}",
            "unsure": f"{values['unsure']:.1%}" if "unsure" in values else "-",
        }
        for name, values in metrics.items()
    ]
    return table([*rows[0]], [[*row.values()] for row in rows], left=["set"])
