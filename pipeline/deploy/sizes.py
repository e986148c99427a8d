"""Compares exported networks: their accuracy on the test images, and their size.

The size is the number of bytes of the tables, which is the same for every compiler and
processor.
"""

from pathlib import Path
from statistics import fmean
from typing import Any

from PIL.Image import Image

from pipeline.base import csv_files
from pipeline.base.tables import table
from pipeline.base.text import counted
from pipeline.deploy.jobs import ExportJob, ExportsByJob
from pipeline.integers import ExportReport
from pipeline.sweeps.pareto_front import pareto_front

MARGIN = 0.01  # how much accuracy may be lost for a smaller network
SIZES_TABLE, SIZES_PLOT = "sizes.csv", "sizes.png"
# The values of report.json that the table contains.
COLUMNS = (
    *("hidden", "bits", "finetune", "table_bytes"),
    *("accuracy", "float_accuracy", "same_predictions"),
)
MAX_TABLE_ROWS = 40  # rows of the table in the terminal


def write_sizes(
    results: ExportsByJob, folder: Path, *, run_id: str | None
) -> list[Path]:
    """Write the plot and the table to a folder; return their paths.

    `run_id` is the run of a single network. In a sweep, each job has its own run ID.
    """
    paths = [folder / SIZES_PLOT, folder / SIZES_TABLE]
    rows = [_row(job, exported.report, run_id) for job, exported in results.items()]
    csv_files.write_csv(paths[1], rows)
    plot(results).save(paths[0], "PNG")
    return paths


def _row(job: ExportJob, report: ExportReport, run_id: str | None) -> dict[str, Any]:
    """Return a row of the table."""
    values = {key: getattr(report, key) for key in COLUMNS}
    run = {"run_id": job.run_id or run_id, "folder": str(job.folder)}
    return {**job.varied_values, **values, **run}


def smallest(results: ExportsByJob) -> ExportJob:
    """Return the smallest network that is at most `MARGIN` worse than the best."""
    highest = results[_best(results)].report.accuracy

    def order(job: ExportJob) -> tuple[int, float]:
        report = results[job].report
        return report.table_bytes, -report.accuracy

    def loss(job: ExportJob) -> float:
        # Rounded, because a difference of exactly MARGIN can be larger in binary.
        return round(highest - results[job].report.accuracy, 9)

    return min((job for job in results if loss(job) <= MARGIN), key=order)


def _best(results: ExportsByJob) -> ExportJob:
    return max(results, key=lambda job: results[job].report.accuracy)


def describe_sizes(results: ExportsByJob) -> str:
    """Return a line about the best network, and the smallest that is nearly as good."""
    texts = []
    for job in (_best(results), smallest(results)):
        report = results[job].report
        size = f"{report.table_bytes:,} bytes of tables"
        texts.append(f"{job.name}, {report.accuracy:.2%} with {size}")
    margin = f"{100 * MARGIN:g} percentage point"
    if texts[0] == texts[1]:
        return f"best: {texts[0]}; no smaller network is within {margin} of it"
    return f"best: {texts[0]}; the smallest network within {margin} of it: {texts[1]}"


def sizes_table(results: ExportsByJob) -> str:
    """Return a table of the results, in the order of increasing size."""
    first = next(iter(results))
    columns = ("bits", "finetune", "accuracy", "float", "same predictions", "bytes")
    rows = []
    for job in sorted(results, key=lambda job: results[job].report.table_bytes):
        report = results[job].report
        keys = map(str, [*job.varied_values.values(), job.bits, report.finetune])
        shares = report.accuracy, report.float_accuracy, report.same_predictions
        cells = (f"{share:.2%}" for share in shares)
        rows.append([*keys, *cells, f"{report.table_bytes:,}"])
    text = table([*first.varied_values, *columns], rows[:MAX_TABLE_ROWS])
    if (more := len(rows) - MAX_TABLE_ROWS) > 0:
        text += f"\n... and {more:,} more in {SIZES_TABLE}"
    return text


def plot(results: ExportsByJob) -> Image:
    """Plot accuracy against bytes, with a line for each bit width.

    If all networks have the same number of hidden neurons, there is one line with a
    caption for each bit width.
    """
    # Importing Matplotlib takes 0.4 s, so it is imported only when several exports are
    # compared.
    from pipeline.plots.accuracy import AccuracyPoint, accuracy_plot

    # The reports of all seeds, by the bits and hidden neurons that determine the size.
    reports: dict[tuple[int, int], list[ExportReport]] = {}
    for exported in results.values():
        report = exported.report
        reports.setdefault((report.bits, report.hidden), []).append(report)
    front = pareto_front(
        reports,
        size=lambda key: reports[key][0].table_bytes,
        accuracy=lambda key: fmean(report.accuracy for report in reports[key]),
    )
    sizes = {hidden for _, hidden in reports}
    lines: dict[str, list[AccuracyPoint]] = {}
    for bits, hidden in sorted(reports, reverse=True):
        name, caption = f"{counted(bits, 'bit')} per weight", f"hidden={hidden}"
        if len(sizes) == 1:
            name, caption = "", counted(bits, "bit")
        group = reports[bits, hidden]
        point = AccuracyPoint(
            x=float(group[0].table_bytes),
            accuracies=[report.accuracy for report in group],
            caption=caption,
            is_on_front=(bits, hidden) in front,
        )
        lines.setdefault(name, []).append(point)
    title = "Accuracy and size of exported networks"
    if len(sizes) == 1:
        title += f", hidden={min(sizes)}"
    return accuracy_plot(
        lines,
        xlabel="bytes of the tables: all weights, biases and shifts",
        ylabel="accuracy on the test images",
        title=title + finetuning_note(results),
    )


def finetuning_note(results: ExportsByJob) -> str:
    """Return a line of the title that says why few bits can be the most accurate."""
    tuned = {job.bits for job, x in results.items() if x.report.finetune}
    if not tuned:
        return ""
    listed = ", ".join(map(str, sorted(tuned, reverse=True)))
    bits = f"{listed} bit" if tuned == {1} else f"{listed} bits"
    effect = "so fewer bits can give a higher accuracy"
    return f"\nfine-tuning ({bits}) continues training, {effect}"
