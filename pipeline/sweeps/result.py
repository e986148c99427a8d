"""The result of a sweep for a caller from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import UserError
from pipeline.base.text import counted, short_repr
from pipeline.records.file_names import PLOT_FILE, TABLE_FILE
from pipeline.records.metric_names import EPOCH_METRICS
from pipeline.records.tags import Status
from pipeline.sweeps.configurations import (
    Configuration,
    best_configuration,
    group_by_configuration,
    why_no_best,
)
from pipeline.sweeps.jobs import MAX_REASONS, Outcome, TrainedOutcome, failed_jobs

if TYPE_CHECKING:
    from pipeline.model import NetworkFile


@dataclass(frozen=True)
class SweepResult:
    """The outcomes of a sweep, and the locations of its results."""

    outcomes: Sequence[Outcome]  # in the order of the jobs
    folder: Path  # contains the table and the plot
    run_id: str | None  # the ID of the MLflow run; None if not recorded
    # Whether the server has a complete copy; None without a server.
    copied: bool | None = None
    store: Path | None = None  # the folder of the store, which `load_best` reads

    def __repr__(self) -> str:
        """Return a short description, because the outcomes contain all settings."""
        failed = sum(bool(outcome.error) for outcome in self.outcomes)
        counts = {"trained": len(self.outcomes) - failed, "failed": failed}
        locations = {"run_id": self.run_id, "folder": self.folder}
        return short_repr(self, **counts, best=self.best, **locations)

    @cached_property
    def configurations(self) -> list[Configuration]:
        """The outcomes as `group_by_configuration` returns them, the best first."""
        return group_by_configuration(self.outcomes)

    @property
    def best(self) -> TrainedOutcome | None:
        """The most accurate training run of the best configuration.

        The best configuration, the first of `configurations`, has the highest mean
        accuracy. A training run of another configuration can be more accurate.
        The result is None if all training runs failed, or if the validation images of
        the configurations differ.
        """
        configuration = best_configuration(self.configurations)
        if configuration is None:
            return None
        return max(configuration.trained, key=lambda each: each.accuracy)

    @cached_property
    def _metric_names(self) -> list[str]:
        """The names of the metrics of all outcomes, the metrics of an epoch first."""
        others = {name for outcome in self.outcomes for name in outcome.metrics}
        return [*dict.fromkeys([*EPOCH_METRICS, *sorted(others)])]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each training run, in the order of the jobs.

        A row has the options of groups, the hyperparameters, the data set, all metrics
        of metrics.json, the number of parameters, the seconds of all epochs, and the
        status and the ID of the run. If the training run failed, `error` says why, and
        the metrics, the number of parameters and the seconds are None.
        """
        return [
            {
                **outcome.job.varied_values,
                **outcome.job.params,
                **{name: outcome.metrics.get(name) for name in self._metric_names},
                # The settings of a failed job can be invalid.
                "parameters": None if outcome.error else outcome.job.parameter_count,
                "seconds": outcome.seconds and round(outcome.seconds, 3),
                "status": (Status.FAILED if outcome.error else Status.FINISHED).value,
                "run_id": outcome.run_id,
                "error": outcome.error or "",
            }
            for outcome in self.outcomes
        ]

    def to_frame(self) -> Any:  # noqa: ANN401
        """Return the `rows` as a pandas DataFrame; pandas has no type hints.

        None is NaN in a column of floats, and <NA> in a column of integers.
        """
        from pandas import DataFrame  # a slow import

        types = dict.fromkeys([*self._metric_names, "seconds"], "float64")
        return DataFrame(self.rows()).astype(types | {"parameters": "Int64"})

    def load_best(self) -> "NetworkFile":
        """Return the network of the `best` training run.

        `load_best().network.predict(images)` maps images (n, 28, 28) of uint8 to
        probabilities (n, 10).

        Raises:
            UserError: If `best` is None; if a file of the network is lost or damaged;
                or if the file is not the network that its run recorded.
        """
        # Imported after the workers have started.
        from pipeline.model import load_trained_network, select_network

        best = self.best
        if not best:
            raise UserError(f"no best network: {why_no_best(self.configurations)}")
        if best.run_id and self.store:
            return select_network(run=best.run_id, model=None, store=self.store)
        return load_trained_network(best.network_path)


def report_files(folder: Path) -> list[Path]:
    """Return the files of the report in the folder of a sweep, the plot first."""
    paths = folder / PLOT_FILE, folder / TABLE_FILE
    return [path for path in paths if path.exists()]


def failure_message(outcomes: Sequence[Outcome]) -> str | None:
    """Return the first errors of training runs; None if no training run failed."""
    failed = failed_jobs(outcomes)
    if not failed:
        return None
    count = sum(map(len, failed.values()))
    lines = [f"{count} of {len(outcomes)} training runs failed"]
    for error, (first, *others) in [*failed.items()][:MAX_REASONS]:
        more = f" and {len(others):,} more" if others else ""
        lines.append(f"{first.name}{more}: {error}")
    if len(failed) > MAX_REASONS:
        lines.append(f"and {counted(len(failed) - MAX_REASONS, 'other error')}")
    return "\n  ".join(lines)
