"""The report of a sweep: statistics over seeds, a table, a plot and a description.

It is computed from the outcomes alone; `driver.py` decides what is trained.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.files import printable
from pipeline.paths import MODEL_FILE, displayed
from pipeline.sweeps.outcomes import Outcome
from pipeline.terminal import command_line, next_steps, table, wrap

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipeline.tracking import Run

MAX_DESCRIPTION = 7900  # characters; MLflow truncates descriptions at 8,000
MAX_LISTED = 8  # settings that are listed as close to the best
HEADINGS = ("trained", "val accuracy", "parameters", "bytes", "seconds", "")


@dataclass(frozen=True)
class Setting:
    """The outcomes that differ only in their seed."""

    keys: dict[str, Any]  # the swept keys except the seed
    trained: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its keys, such as "hidden=5 lr=0.01"."""
        return _join(self.keys)

    @property
    def accuracy(self) -> float:
        """The mean over the seeds, in [0, 1]."""
        return mean(outcome.accuracy for outcome in self.trained)

    @property
    def std(self) -> float | None:
        """The sample standard deviation (n - 1) over the seeds; None for one seed."""
        accuracies = [outcome.accuracy for outcome in self.trained]
        return stdev(accuracies) if len(accuracies) > 1 else None

    def describe_accuracy(self) -> str:
        """Return mean and standard deviation in percent, such as 95.92% ± 0.12."""
        deviation = "" if self.std is None else f" ± {self.std * 100:.2f}"
        return f"{self.accuracy:.2%}{deviation}"

    def row(self) -> dict[str, Any]:
        """Return the row of sweep.csv."""
        first = self.trained[0] if self.trained else None
        seconds = [outcome.seconds for outcome in self.trained]
        seeds: dict[str, list[str]] = {}  # failed seeds by error
        for outcome in self.failed:
            seed = str(outcome.job.values["seed"])
            seeds.setdefault(outcome.error, []).append(seed)
        failed = (f"seed={','.join(seeds[e])} failed: {e}" for e in seeds)
        return {
            **self.keys,
            "trained": len(self.trained),
            "val/accuracy": self.accuracy if first else None,
            "val/accuracy std": self.std,
            "parameters": first.parameters if first else None,
            "bytes": 4 * first.parameters if first else None,
            "seconds": round(mean(seconds), 3) if first else None,
            "failed": "; ".join(failed),
        }


def _join(keys: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in keys.items())


def group_by_setting(outcomes: Sequence[Outcome]) -> list[Setting]:
    """Group the outcomes that differ only in their seed."""
    settings: dict[str, Setting] = {}
    for outcome in outcomes:
        keys = {k: v for k, v in outcome.job.swept.items() if k != "seed"}
        setting = settings.setdefault(json.dumps(keys), Setting(keys))
        (setting.failed if outcome.error else setting.trained).append(outcome)
    return list(settings.values())


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
        run.log_metrics(metrics, step=0)
    run.describe(describe(settings, comparison=run.comparison_link()))


def print_report(settings: Sequence[Setting], folder: Path, run: "Run") -> None:
    """Print the table, why jobs failed, the best setting and the paths of the files."""
    columns, rows = _cells(settings)
    print(f"\n{table(columns[:-1], [row[:-1] for row in rows])}\n")
    for setting, row in zip(settings, rows, strict=True):
        if setting.failed:
            print(wrap(f"{printable(setting.name)} {row[-1]}") + "\n")
    print(f"{wrap(printable(_summary(settings)))}\n")
    print(f"files  {displayed(folder)}/{' and '.join(_written(folder))}")
    print(run.viewing_hint(), end="")
    if trained := [outcome for setting in settings for outcome in setting.trained]:
        print(_next_step(max(trained, key=lambda each: each.accuracy), folder))


def _next_step(best: Outcome, folder: Path) -> str:
    network = {"run": best.run_id[:8]} if best.run_id else {}
    if not network:  # tracking=none
        path = folder / best.job.folder / "train" / MODEL_FILE
        network = {"model": str(displayed(path))}
    # Accuracies on different data sets are not comparable: there is no best one.
    is_best = not {"dataset", "split"} & set(best.job.swept)
    effect = "explains the best network" if is_best else "explains one of the networks"
    return next_steps({command_line("inspect", **network): effect})


def describe(settings: Sequence[Setting], *, comparison: str) -> str:
    """Describe a sweep in Markdown, with its table if it fits.

    Args:
        settings: All settings.
        comparison: The address of MLflow's page that compares the child runs.
    """
    columns, rows = _cells(settings)
    gap = "&emsp;| "  # MLflow shows no space between columns
    lines = [gap.join(columns), " | ".join(["---:"] * len(columns))]
    lines += [gap.join(cell.replace("|", "/") for cell in row) for row in rows]
    markdown = "\n".join(f"| {line} |" for line in lines)
    location = "The plot and the table are under Artifacts, in `sweep/`."
    link = f"[Compare all training runs]({comparison})."
    for parts in ([markdown, f"{link} {location}"], [markdown, location]):
        text = "\n\n".join([_summary(settings), *parts])
        if len(text) <= MAX_DESCRIPTION:
            return text
    return f"{_summary(settings)}\n\n{location}"


def _written(folder: Path) -> list[str]:
    return [name for name in ("sweep.png", "sweep.csv") if (folder / name).exists()]


def _summary(settings: Sequence[Setting]) -> str:
    """Name the setting with the highest mean accuracy, and those close to it."""
    trained = [setting for setting in settings if setting.trained]
    if not trained:
        return "no training run finished"
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
    """Plot accuracy against parameters or, if `hidden` is fixed, a swept number."""
    from pipeline.plots import SweepPoint, sweep_accuracy

    trained = [setting for setting in settings if setting.trained]
    keys = trained[0].keys
    numbers = [key for key, value in keys.items() if isinstance(value, int | float)]
    axis = "hidden" if "hidden" in keys else next(iter(numbers), None)
    lines: dict[str, list[SweepPoint]] = {}
    for index, setting in enumerate(trained):
        if axis == "hidden":
            x, caption = setting.trained[0].parameters, f"hidden={setting.keys[axis]}"
        elif axis:
            x, caption = setting.keys[axis], ""
        else:
            x, caption = index, setting.name or "all seeds"
        line = _join({k: v for k, v in setting.keys.items() if axis and k != axis})
        accuracies = [outcome.accuracy for outcome in setting.trained]
        lines.setdefault(line, []).append(SweepPoint(float(x), accuracies, caption))
    xlabel = "parameters" if axis == "hidden" else axis or ""
    return sweep_accuracy(lines, xlabel=xlabel, title=title)
