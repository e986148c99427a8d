"""The command `evaluate`: evaluates a network on test sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import ConfigError, UserError, files, tracking
from pipeline.call import results_dir, say
from pipeline.cli import EvaluateConfig
from pipeline.console import table
from pipeline.core.dataset import Dataset
from pipeline.evaluation.output import write_results
from pipeline.evaluation.results import EvaluationResult, evaluate_network
from pipeline.evaluation.test_sets import load_test_set, with_unique_name
from pipeline.evaluation.text import describe_result
from pipeline.model import TrainedModel, load_training_data, select_trained_model
from pipeline.paths import displayed, outputs_dir, store_dir
from pipeline.process import is_user_error
from pipeline.terminal import command_line, next_steps, status, wrap
from pipeline.tracking import Run, recorded_folder


@dataclass(frozen=True)
class Evaluation:
    """The results of a network for several test sets."""

    results: tuple[EvaluationResult, ...]
    folder: Path  # of its own with its files, if it is recorded
    run_id: str | None  # of the MLflow run of the network
    copied: bool | None  # whether the server has all of it; None without a server

    @property
    def metrics(self) -> dict[str, dict[str, float | int]]:
        """The metrics of each set by name: the content of metrics.json."""
        return {result.test_set.name: result.metrics for result in self.results}


def evaluate(cfg: EvaluateConfig) -> Evaluation:
    """Load the network and the test sets, evaluate, write and record the results."""
    outputs, store = outputs_dir(), store_dir()
    with status("loading the network"):
        trained = select_trained_model(run=cfg.run, model=cfg.model)
    dataset = load_training_data(trained)
    results, problems = _evaluate_sets(cfg, trained, dataset)
    with (
        tracking.open_tracker(cfg.tracking, store, server=cfg.server).reopen_run(
            run_id=trained.run_id, weights_sha256=trained.sha256
        ) as run,
        status("writing and recording the results"),
        files.atomic_folder(results_dir("evaluate")) as folder,
    ):
        write_results(results, folder)
        run.log_files("evaluate", sorted(folder.iterdir()))
        run.describe_results(_description(results, run))
        for result in results:
            _record(result, run)
    say(f"\n{_summary(results)}\n")
    for result in results:
        say("\n".join(map(wrap, describe_result(result))) + "\n")
    if not trained.detector:
        reason = trained.missing_detector()
        say(wrap(f"{reason}, so unsure answers are not counted") + "\n")
    say("python -m pipeline.evaluate --help explains the columns.\n")
    say(f"plot   {displayed(outputs / 'evaluate' / 'scores.png')}")
    say(f"files  {displayed(outputs / 'evaluate')}\n{run.viewing_hint()}", end="")
    command = command_line("inspect", run=cfg.run, model=cfg.model)
    say(next_steps({command: "explains the network"}))
    if problems:
        raise UserError("\n  ".join(["not all images were evaluated", *problems]))
    own = recorded_folder(run, "evaluate")
    return Evaluation(tuple(results), own, run.id, run.copied)


def _evaluate_sets(
    cfg: EvaluateConfig, trained: TrainedModel, dataset: Dataset
) -> tuple[list[EvaluationResult], list[str]]:
    """Evaluate each set; return the results, and a line for each problem."""
    results: list[EvaluationResult] = []
    problems: list[str] = []
    names: Sequence[str | None] = cfg.sets or [None]
    for name in names:
        try:
            test_set = load_test_set(
                name, dataset=dataset, split=trained.split, prepare=cfg.prepare
            )
        except (UserError, OSError) as error:
            if len(names) == 1 or isinstance(error, ConfigError):
                raise
            if not is_user_error(error):
                raise
            problems.append(str(error))
            continue
        problems += test_set.problems
        names_used = [result.test_set.name for result in results]
        test_set = with_unique_name(test_set, names_used)
        say(wrap(f"{test_set.name}: {test_set.description}"))
        with status(f"evaluating {test_set.name}"):
            results.append(evaluate_network(test_set, trained))
    if not results:
        raise UserError("\n  ".join(["no set could be evaluated", *problems]))
    return results, problems


def _description(results: Sequence[EvaluationResult], run: Run) -> dict[str, str]:
    """Return the accuracy on each set, and links to the files, in Markdown.

    The description keeps the accuracy on the sets of earlier evaluations.
    """
    links = [
        run.link("confusion matrix", "artifacts/evaluate/scores.png"),
        run.link("mistakes", "artifacts/evaluate/mistakes.png"),
        run.link("classes.csv", "artifacts/evaluate/classes.csv"),
    ]
    names = ", ".join(result.test_set.name for result in results)
    return {
        f"Accuracy on {result.test_set.name}": f"{result.metrics['accuracy']:.2%} of "
        f"{result.metrics['n']:,} images"
        for result in results
    } | {"Last evaluation": f"{names} ({', '.join(links)})"}


def _record(result: EvaluationResult, run: Run) -> None:
    """Record loss and accuracy of a set, and its hash; the files have all metrics.

    MLflow draws a bar for a metric whose only value is at step 0.
    """
    name = result.test_set.name
    metrics = {
        f"evaluate/{name}/{key}": result.metrics[key] for key in ("accuracy", "loss")
    }
    run.log_metrics(metrics, step=0)
    run.log_dataset(
        name,
        sha256=result.test_set.sha256,
        source=result.test_set.description,
        counts={"pictures": len(result.predictions)},  # a stored name
        use="evaluation",
    )


def _summary(results: Sequence[EvaluationResult]) -> str:
    """Return a table of the metrics of each set."""
    rows = []
    for result in results:
        metrics = result.metrics
        low, high = metrics["accuracy_low"], metrics["accuracy_high"]
        row = {
            "set": result.test_set.name,
            "images": f"{metrics['n']:,}",
            "accuracy": f"{metrics['accuracy']:.2%}",
            "95% CI": f"{100 * low:.1f}-{high:.1%}",
            "loss": f"{metrics['loss']:.4f}",
            "confidence": f"{metrics['confidence']:.1%}",
            "ECE": f"{metrics['calibration_error']:.1%}",
            "unsure": f"{metrics['unsure']:.1%}" if "unsure" in metrics else "-",
        }
        rows.append(row)
    return table([*rows[0]], [[*row.values()] for row in rows], left=["set"])
