"""The report of a sweep: table, plot and description, updated while it runs.

It is computed from the outcomes alone; `settings.py` groups and ranks them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.files import printable
from pipeline.paths import MODEL_FILE, displayed
from pipeline.sweeps.jobs import short_name
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.settings import (
    Setting,
    best_trade_offs,
    comparable,
    group_by_setting,
    order,
)
from pipeline.terminal import command_line, next_steps, table, wrap

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipeline.sweeps.record import SweepRecord

INTERVAL = 10  # seconds between two updates while the sweep runs
MAX_SHARE = 0.05  # of the time that updates may take
MAX_DESCRIPTION = 7900  # characters; MLflow truncates descriptions at 8,000
MAX_ROWS = 20  # of the table in the terminal
MAX_LINES = 5  # of a plot; more settings become a cloud of dots
HEADINGS = ("trained", "val accuracy", "parameters", "seconds", "")


class Report:
    """The report of a sweep, in its folder and its run."""

    def __init__(self, record: "SweepRecord", *, title: str) -> None:
        """Keep a reference to the record, to which the caller adds outcomes."""
        self._folder, self._run, self._title = record.folder, record.run, title
        self._outcomes = record.outcomes
        self._next_update = time.monotonic() + INTERVAL

    def update(self) -> None:
        """Write the report if the last update was long ago."""
        if (start := time.monotonic()) >= self._next_update:
            self.write()
            end = time.monotonic()
            self._next_update = end + max(INTERVAL, (end - start) / MAX_SHARE)

    @property
    def settings(self) -> list[Setting]:
        """The settings, the most accurate first."""
        return group_by_setting(self._outcomes.values())

    @property
    def best(self) -> Outcome | None:
        """The most accurate training run; None if none finished."""
        outcomes = [outcome for s in self.settings for outcome in s.trained]
        return max(outcomes, key=lambda outcome: outcome.accuracy, default=None)

    def write(self, *, comparison: str = "") -> None:
        """Write the table and the plot, and record them; see `describe`."""
        settings = self.settings
        front = best_trade_offs(settings)
        with files.atomic_file(self._folder / "sweep.csv") as path:
            rows = [{**s.row(), "best trade-off": s in front} for s in settings]
            files.write_csv(path, rows)
        if settings[0].trained:
            with files.atomic_file(self._folder / "sweep.png") as path:
                plot(settings, title=self._title).save(path, "PNG")
        self._run.log_files("sweep", self._written())
        self._run.describe(describe(settings, comparison=comparison))

    def finish(self) -> None:
        """Record the best accuracy and the finished report in the run."""
        params = [*self.settings[0].keys] or ["seed"]
        self.write(comparison=self._run.compare_children(params))
        if accuracies := [s.accuracy for s in self.settings if s.trained]:
            metrics = {"sweep/best_val_accuracy": max(accuracies)}
            self._run.log_metrics(metrics, step=0)

    def print(self) -> None:
        """Print the table, the best setting and the files."""
        settings = self.settings
        columns, rows = _cells(select_rows(settings))
        print(f"\n{table(columns, rows, left=[''])}")
        if hidden := len(settings) - len(rows):
            print(f"and {hidden:,} more in sweep.csv")
        if reused := sum(outcome.reused for outcome in self._outcomes.values()):
            runs = f"{reused:,} of {len(self._outcomes):,} training runs"
            print(wrap(f"{runs} were reused; again=true trains all again"))
        print(f"\n{wrap(summarize(settings))}\n")
        names = " and ".join(path.name for path in self._written())
        print(f"files  {displayed(self._folder)}/{names}")
        print(self._run.viewing_hint(), end="")
        if self.best:
            print(_next_step(self.best, self._folder))

    def _written(self) -> list[Path]:
        return sorted(self._folder.glob("sweep.*"), reverse=True)  # the plot first


def select_rows(settings: Sequence[Setting]) -> list[Setting]:
    """Select at most `MAX_ROWS` settings, in their order.

    The best fill half of the rows; then come those that failed, then the next best.
    """

    def priority(rank: int) -> tuple[bool, bool]:
        return rank >= MAX_ROWS // 2, not settings[rank].failed

    ranks = sorted(range(len(settings)), key=priority)[:MAX_ROWS]
    return [settings[rank] for rank in sorted(ranks)]


def describe(settings: Sequence[Setting], *, comparison: str = "") -> str:
    """Describe a sweep in Markdown, with the first rows of its table that fit.

    Args:
        settings: All settings, in the order of the table.
        comparison: The address of MLflow's page that compares the child runs.
    """
    location = "The plot and the table are under Artifacts, in `sweep/`."
    if comparison:
        link = f"[Compare the training runs side by side]({comparison})"
        location = f"{link}. {location}"
    gap = "&emsp;| "  # MLflow shows no space between columns
    size = MAX_DESCRIPTION - len(location) - len(summarize(settings)) - 50
    lines: list[str] = []
    columns, rows = _cells(settings[: MAX_DESCRIPTION // 40])  # more rows never fit
    for row in [columns, ["---:"] * len(columns), *rows]:
        separator = " | " if len(lines) == 1 else gap
        lines.append(f"| {separator.join(cell.replace('|', '/') for cell in row)} |")
        size -= len(lines[-1]) + 1
        if size < 0:
            lines.pop()
            break
    parts = [summarize(settings), "\n".join(lines), location]
    if more := len(settings) - (len(lines) - 2):
        parts.insert(2, f"and {more:,} more in `sweep/sweep.csv`.")
    return "\n\n".join(parts)


def summarize(settings: Sequence[Setting]) -> str:
    """Name the most accurate setting, and the smallest one that is as good."""
    trained = [setting for setting in settings if setting.trained]
    if not trained:
        return "no training run finished"
    best = trained[0]
    accuracy = f"validation accuracy {best.describe_accuracy()}"
    if not comparable(best.keys):
        return "no best setting: the settings have different validation images"
    if not best.keys:
        return f"all seeds: {accuracy}"
    limit = best.accuracy - (best.std or 0)
    close = [setting for setting in trained if setting.accuracy >= limit]
    smallest = min(close, key=lambda setting: setting.parameters)
    others = ""
    if smallest.parameters < best.parameters:
        size = f"{smallest.name} ({smallest.parameters:,} parameters)"
        others = f"; the smallest within one standard deviation: {size}"
    return f"best: {best.name}, {accuracy}{others}"


def _next_step(best: Outcome, folder: Path) -> str:
    network = {"run": best.run_id[:8]} if best.run_id else {}
    if not network:  # tracking=none
        path = folder / best.job.folder / "train" / MODEL_FILE
        network = {"model": str(displayed(path))}
    name = "the best network" if comparable(best.job.swept) else "one of the networks"
    return next_steps({command_line("inspect", **network): f"explains {name}"})


def _cells(settings: Sequence[Setting]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of the table, as text."""
    rows = []
    for setting in settings:
        row, cells = setting.row(), ["-"] * 3
        if setting.trained:
            size = f"{setting.parameters:,}"
            cells = [setting.describe_accuracy(), size, f"{row['seconds']:.1f}"]
        keys = [printable(str(value)) for value in setting.keys.values()]
        failed = printable(row["failed"])
        rows.append([*keys, str(len(setting.trained)), *cells, failed])
    return [*settings[0].keys, *HEADINGS], rows


def plot(settings: Sequence[Setting], *, title: str) -> "Image":
    """Plot accuracy against parameters or, if sizes are equal, a swept number."""
    from pipeline.plots import SweepPoint, sweep_cloud, sweep_lines

    trained = [setting for setting in settings if setting.trained]
    trained.sort(key=lambda setting: order(setting.keys.values()))
    front = {setting.name for setting in best_trade_offs(trained)}
    swept = {key: {s.keys[key] for s in trained} for key in trained[0].keys}
    numbers = {k: v for k, v in swept.items() if all(map(_is_number, v))}
    by_size = len({setting.parameters for setting in trained}) > 1
    axis = "hidden" if by_size else next(iter(numbers), "")
    numbers.pop(axis, None)
    shade = max(numbers, key=lambda key: len(numbers[key]), default="")
    lines: dict[str, list[SweepPoint]] = {}
    for index, setting in enumerate(trained):
        keys = dict(setting.keys)
        x = keys.pop(axis, index)
        point = SweepPoint(
            x=float(setting.parameters if by_size else x),
            accuracies=[outcome.accuracy for outcome in setting.trained],
            caption=f"hidden={x}" if by_size else "" if axis else setting.name,
            best=setting.name in front,
            shade=keys.get(shade),
        )
        lines.setdefault(short_name(keys) if axis else "", []).append(point)
    xlabel = "parameters" if by_size else axis
    if len(lines) <= MAX_LINES:
        return sweep_lines(lines, xlabel=xlabel, title=title)
    points = [point for line in lines.values() for point in line]
    return sweep_cloud(points, xlabel=xlabel, title=title, shade=shade)


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float)
