"""The report of a sweep: table, plot and description, updated while it runs.

It is computed from the outcomes alone; `configurations.py` groups and ranks them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from pipeline import files
from pipeline.plots.accuracy import AccuracyPoint, accuracy_plot
from pipeline.sweeps.configurations import (
    Configuration,
    best_trade_offs,
    group_by_configuration,
    order,
)
from pipeline.sweeps.jobs import short_name
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.text import describe, written_files
from pipeline.tracking import Run

INTERVAL = 10  # seconds between two updates while the sweep runs
MAX_SHARE = 0.05  # of the time that updates may take


class Report:
    """The report of a sweep, in its folder and its run."""

    def __init__(
        self, run: Run, folder: Path, outcomes: Sequence[Outcome], *, title: str
    ) -> None:
        """Keep a reference to the outcomes, to which the caller adds more."""
        self.folder = folder
        self._run, self._outcomes, self._title = run, outcomes, title
        self._next_update = time.monotonic() + INTERVAL

    def update(self) -> None:
        """Write the report if the last update was long ago."""
        if (start := time.monotonic()) >= self._next_update:
            self.write()
            end = time.monotonic()
            self._next_update = end + max(INTERVAL, (end - start) / MAX_SHARE)

    def write(self, *, comparison: str = "") -> None:
        """Write the table and the plot, and record them; see `describe`."""
        settings = group_by_configuration(self._outcomes)
        front = best_trade_offs(settings)
        with files.atomic_file(self.folder / "sweep.csv") as path:
            rows = [{**s.row(), "best trade-off": s in front} for s in settings]
            files.write_csv(path, rows)
        if settings[0].trained:
            with files.atomic_file(self.folder / "sweep.png") as path:
                plot(settings, title=self._title).save(path, "PNG")
        self._run.log_files("sweep", written_files(self.folder))
        self._run.describe(describe(settings, comparison=comparison), {})

    def finish(self) -> None:
        """Record the best accuracy and the finished report in the run."""
        settings = group_by_configuration(self._outcomes)
        params = [*settings[0].keys] or ["seed"]
        self.write(comparison=self._run.compare_children(params))
        if accuracies := [s.accuracy for s in settings if s.trained]:
            metrics = {"sweep/best_val_accuracy": max(accuracies)}
            self._run.log_metrics(metrics, step=0)


def plot(settings: Sequence[Configuration], *, title: str) -> Image:
    """Plot accuracy against parameters or, if sizes are equal, a swept number."""
    trained = [setting for setting in settings if setting.trained]
    trained.sort(key=lambda setting: order(setting.keys.values()))
    front = {setting.name for setting in best_trade_offs(trained)}
    swept = {key: {s.keys[key] for s in trained} for key in trained[0].keys}
    numbers = {k: v for k, v in swept.items() if all(map(_is_number, v))}
    by_size = len({setting.parameters for setting in trained}) > 1
    axis = "hidden" if by_size else next(iter(numbers), "")
    numbers.pop(axis, None)
    shade = max(numbers, key=lambda key: len(numbers[key]), default="")
    lines: dict[str, list[AccuracyPoint]] = {}
    for index, setting in enumerate(trained):
        keys = dict(setting.keys)
        x = keys.pop(axis, index)
        point = AccuracyPoint(
            x=float(setting.parameters if by_size else x),
            accuracies=[outcome.accuracy for outcome in setting.trained],
            caption=f"hidden={x}" if by_size else "" if axis else setting.name,
            best=setting.name in front,
            shade=float(keys[shade]) if shade else None,
        )
        lines.setdefault(short_name(keys) if axis else "", []).append(point)
    xlabel = "parameters" if by_size else axis
    return accuracy_plot(lines, xlabel=xlabel, title=title, shade=shade)


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float)
