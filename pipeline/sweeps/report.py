"""The report of a sweep: table, plot and description, updated while it runs.

The report is computed from the jobs and their outcomes. `configurations.py` groups and
ranks the outcomes.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL.Image import Image

from pipeline import UserError
from pipeline.base import csv_files, files
from pipeline.base.terminal import print_error
from pipeline.base.text import short_name
from pipeline.plots.accuracy import (
    MAX_LINES,
    AccuracyPoint,
    accuracy_plot,
    accuracy_scatter,
)
from pipeline.records.file_names import PLOT_FILE, REPORT_FOLDER, TABLE_FILE
from pipeline.records.metric_names import VAL_ACCURACY
from pipeline.sweeps.configurations import (
    Configuration,
    best_configuration,
    best_trade_offs,
    group_by_configuration,
    sort_key,
)
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.report_text import description_text
from pipeline.sweeps.result import report_files
from pipeline.tracking import OpenRun, end_transactions

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

UPDATE_SECONDS = 10  # between two updates while the sweep runs
MAX_SHARE = 0.05  # the largest fraction of the time for updates


class Report:
    """The report of a sweep, in its folder and its run."""

    def __init__(self, run: OpenRun, folder: Path, plan: Plan, *, title: str) -> None:
        """Report the outcomes of a plan while the caller adds outcomes to the plan."""
        self.folder = folder
        self._run, self._plan, self._title = run, plan, title
        self._next_update = time.monotonic() + UPDATE_SECONDS

    def update(self) -> None:
        """Write the report if the last update was long ago."""
        if (start := time.monotonic()) >= self._next_update:
            self.write()
            end = time.monotonic()
            self._next_update = end + max(UPDATE_SECONDS, (end - start) / MAX_SHARE)

    @contextmanager
    def written_on_error(self) -> Iterator[None]:
        """Write the report if the block ends early, to include the latest outcomes.

        The error that ended the block is raised, even if the report cannot be written.
        """
        try:
            yield
        except BaseException as error:
            end_transactions(error)
            try:
                if self._plan.jobs:  # a search may not have suggested a job yet
                    self.write()
            except (UserError, OSError) as problem:
                print_error(f"the report of the sweep could not be updated: {problem}")
            raise

    def write(self, compared: Sequence[str] = ()) -> None:
        """Write the table and the plot; record both with a description.

        The description has links to the pages that compare the params `compared`.
        """
        plan = self._plan
        configurations = group_by_configuration(plan.outcomes, plan.missing)
        write_files(self.folder, configurations, title=self._title)
        written, text = report_files(self.folder), description_text(configurations)
        self._run.record(_log_report, written, text, compared)

    def finish(self) -> None:
        """Record the finished report and the accuracy of the best configuration."""
        # The seed is the last column.
        self.write(sorted(self._plan.varied, key=lambda key: key == "seed"))
        configurations = group_by_configuration(self._plan.outcomes)
        if configuration := best_configuration(configurations):
            self._run.record(_log_accuracy, configuration.accuracy)


def _log_report(
    run: "MlflowRun", paths: Sequence[Path], text: str, compared: Sequence[str]
) -> None:
    """Log the files of a report, and the text and links of the description."""
    run.log_files(REPORT_FOLDER, paths)
    links = run.compare_children(compared) if compared else {}
    for path in paths:
        links[path.name] = run.link(path.name, f"artifacts/{REPORT_FOLDER}/{path.name}")
    run.describe(text, links)


def _log_accuracy(run: "MlflowRun", accuracy: float) -> None:
    """Log the mean accuracy of the best configuration, for the list of runs.

    MLflow shows all digits, and a mean such as 0.9690000000000001 has rounding errors.
    """
    run.log_metrics({VAL_ACCURACY: round(accuracy, 6)}, step=0)


def write_files(
    folder: Path, configurations: Sequence[Configuration], *, title: str
) -> None:
    """Write the table to the folder of a sweep, and the plot if there is a network."""
    front = best_trade_offs(configurations)
    with files.atomic_file(folder / TABLE_FILE) as path:
        rows = [{**c.row(), "Pareto front": c in front} for c in configurations]
        csv_files.write_csv(path, rows)
    if any(configuration.trained for configuration in configurations):
        with files.atomic_file(folder / PLOT_FILE) as path:
            plot(configurations, front, title=title).save(path, "PNG")


def plot(
    configurations: Sequence[Configuration],
    front: Sequence[Configuration],
    *,
    title: str,
) -> Image:
    """Plot accuracy against the number of parameters.

    If all networks have the same number of parameters, the x axis is a varied number.
    `front` has the configurations on the Pareto front.
    """
    trained = [each for each in configurations if each.trained]
    trained.sort(key=lambda configuration: sort_key(configuration.varied_values))
    by_parameters = len({each.parameter_count for each in trained}) > 1
    rows = [each.varied_values for each in trained]
    axis, shade = _axis_and_shade(rows, by_parameters=by_parameters)
    lines: dict[str, list[AccuracyPoint]] = {}
    for index, configuration in enumerate(trained):
        values = dict(configuration.varied_values)
        x, caption = values.pop(axis, index), "" if axis else configuration.name
        if by_parameters:
            x, caption = configuration.parameter_count, f"hidden={x}"
        point = AccuracyPoint(
            x=float(x),
            accuracies=configuration.accuracies,
            caption=caption,
            is_on_front=configuration in front,
            shade=float(values[shade]) if shade else None,
        )
        lines.setdefault(short_name(values) if axis else "", []).append(point)
    xlabel = "parameters" if by_parameters else axis
    if len(lines) <= MAX_LINES:
        return accuracy_plot(lines, xlabel=xlabel, title=title)
    points = [point for line in lines.values() for point in line]
    return accuracy_scatter(points, xlabel=xlabel, title=title, shade=shade)


def _axis_and_shade(
    rows: Sequence[Mapping[str, Any]], *, by_parameters: bool
) -> tuple[str, str]:
    """Return the keys that determine x and the shade of a point; "" for none.

    Of the other varied numbers, the shade shows the one with the most values.
    """
    numbers = {
        key: {row[key] for row in rows}
        for key in rows[0]
        if all(isinstance(row[key], int | float) for row in rows)
    }
    axis = "hidden" if by_parameters else next(iter(numbers), "")
    numbers.pop(axis, None)
    return axis, max(numbers, key=lambda key: len(numbers[key]), default="")
