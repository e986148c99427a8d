"""The report of a sweep: a table, a plot, and a description of its run.

All of it is computed from the settings; what is trained is decided in `driver.py`.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.cli import table
from pipeline.files import printable
from pipeline.sweeps.outcomes import Setting

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipeline.tracking import Run

MAX_DESCRIPTION = 7900  # characters; MLflow truncates descriptions at 8,000
MAX_LISTED = 8  # settings that are listed as close to the best
HEADINGS = ("trained", "val accuracy", "parameters", "bytes", "seconds", "")


def write_report(settings: Sequence[Setting], folder: Path, *, title: str) -> None:
    """Write sweep.csv and sweep.png to the folder of the sweep."""
    with files.atomic_file(folder / "sweep.csv") as path:
        files.write_csv(path, [setting.row() for setting in settings])
    if any(setting.trained for setting in settings):
        with files.atomic_file(folder / "sweep.png") as path:
            _plot(settings, title=title).save(path, "PNG")


def record_report(settings: Sequence[Setting], folder: Path, run: "Run") -> None:
    """Record the table, the plot, the best accuracy and a description in the run."""
    run.log_files("sweep", [folder / name for name in _written(folder)])
    run.log_table("sweep/sweep.json", [setting.row() for setting in settings])
    accuracies = [setting.accuracy for setting in settings if setting.trained]
    if accuracies:
        metrics = {"sweep/best_val_accuracy": max(accuracies)}
        run.log_metrics(metrics, step=0, time=time.time_ns() // 1_000_000)
    run.describe(describe(settings, comparison=run.comparison_link()))


def print_report(settings: Sequence[Setting], folder: Path, run: "Run") -> None:
    """Print the table, the best setting and where the files are."""
    columns, rows = _cells(settings)
    print(f"\n{table(columns, rows, left=[''])}\n")
    print(f"{printable(_summary(settings))}\n")
    print(f"files  {folder}/{' and '.join(_written(folder))}")
    print(run.viewing_hint(), end="")


def describe(settings: Sequence[Setting], *, comparison: str) -> str:
    """Describe a sweep in Markdown, with its table if it fits.

    Args:
        settings: All settings.
        comparison: The address of MLflow's page that compares the trainings.
    """
    columns, rows = _cells(settings)
    gap = "&emsp;| "  # MLflow shows no space between columns
    lines = [gap.join(columns), " | ".join(["---:"] * len(columns))]
    lines += [gap.join(cell.replace("|", "/") for cell in row) for row in rows]
    markdown = "\n".join(f"| {line} |" for line in lines)
    where = "The plot and the table are under Artifacts, in `sweep/`."
    link = f"[Compare all trainings]({comparison})."
    for parts in ([markdown, f"{link} {where}"], [markdown, where]):
        text = "\n\n".join([_summary(settings), *parts])
        if len(text) <= MAX_DESCRIPTION:
            return text
    return f"{_summary(settings)}\n\n{where}"


def _written(folder: Path) -> list[str]:
    return [name for name in ("sweep.png", "sweep.csv") if (folder / name).exists()]


def _summary(settings: Sequence[Setting]) -> str:
    """Name the setting with the highest mean accuracy, and those close to it."""
    trained = [setting for setting in settings if setting.trained]
    if not trained:
        return "no training finished"
    best = max(trained, key=lambda setting: setting.accuracy)
    accuracy = f"validation accuracy {best.describe_accuracy()}"
    if not best.keys:
        return f"all seeds: {accuracy}"
    if {"dataset", "split"} & set(best.keys):
        return "no best setting: the settings have different validation images"
    limit = best.accuracy - (best.std or 0)
    close = [s.name for s in trained if s is not best and s.accuracy >= limit]
    if len(close) > MAX_LISTED:
        close = [*close[:MAX_LISTED], f"and {len(close) - MAX_LISTED} more"]
    others = f"; within one standard deviation: {', '.join(close)}" if close else ""
    return f"best: {best.name}, {accuracy}{others}"


def _cells(settings: Sequence[Setting]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of the table, as text."""
    rows = []
    for setting in settings:
        row, cells = setting.row(), ["-"] * 4
        if setting.trained:
            sizes = [f"{row['parameters']:,}", f"{row['bytes']:,}"]
            cells = [setting.describe_accuracy(), *sizes, f"{row['seconds']:.1f}"]
        keys = [printable(str(value)) for value in setting.keys.values()]
        failed = printable(row["failed"])
        rows.append([*keys, str(len(setting.trained)), *cells, failed])
    return [*settings[0].keys, *HEADINGS], rows


def _plot(settings: Sequence[Setting], *, title: str) -> "Image":
    """Plot accuracy against parameters, or if all are equal, against a swept key."""
    from pipeline.plots import SweepPoint, sweep_accuracy

    trained = [setting for setting in settings if setting.trained]
    keys = trained[0].keys
    numbers = [key for key, value in keys.items() if isinstance(value, int | float)]
    axis = "hidden" if "hidden" in keys else next(iter(numbers), None)
    lines: dict[str, list[SweepPoint]] = {}
    for index, setting in enumerate(trained):
        if axis == "hidden":
            x = setting.trained[0].parameters
            caption = f"hidden={setting.keys['hidden']}"
        elif axis:
            x, caption = setting.keys[axis], ""
        else:
            x, caption = index, setting.name or "all seeds"
        others = {k: v for k, v in setting.keys.items() if axis and k != axis}
        line = " ".join(f"{key}={value}" for key, value in others.items())
        accuracies = [outcome.accuracy for outcome in setting.trained]
        lines.setdefault(line, []).append(SweepPoint(float(x), accuracies, caption))
    xlabel = "parameters" if axis == "hidden" else axis or ""
    return sweep_accuracy(lines, xlabel=xlabel, title=title)
