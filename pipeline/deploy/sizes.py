"""Compares exported networks: their accuracy on the test images, and their size.

The size is that of the tables, which is the same for every compiler and processor.
"""

from pathlib import Path
from typing import Any

from PIL.Image import Image

from pipeline import files
from pipeline.console import table
from pipeline.deploy.exports import Export, Results
from pipeline.deploy.output import Exported

GOAL = 0.95  # the accuracy that the smallest network must reach
SIZES_TABLE, SIZES_PLOT = "sizes.csv", "sizes.png"
# The values of report.json that the table contains.
COLUMNS = (
    *("hidden", "bits", "finetune", "table_bytes"),
    *("accuracy", "float_accuracy", "same_answers"),
)
MAX_ROWS = 40  # of the table in the terminal


def write_sizes(results: Results, folder: Path) -> list[Path]:
    """Write the plot and the table to a folder; return their paths."""
    paths = [folder / SIZES_PLOT, folder / SIZES_TABLE]
    files.write_csv(paths[1], [_row(*item) for item in results.items()])
    plot(results).save(paths[0], "PNG")
    return paths


def _row(export: Export, exported: Exported) -> dict[str, Any]:
    """Return a row of the table."""
    report = {key: exported.report[key] for key in COLUMNS}
    run = {"run_id": export.trained.run_id, "folder": str(export.folder)}
    return {**export.swept, **report, **run}


def smallest(results: Results) -> Export | None:
    """Return the smallest network that reaches `GOAL`; of equal ones, the best."""

    def order(export: Export) -> tuple[int, float]:
        report = results[export].report
        return report["table_bytes"], -report["accuracy"]

    reaching = [each for each in results if results[each].report["accuracy"] >= GOAL]
    return min(reaching, key=order, default=None)


def answer(results: Results) -> str:
    """Say which is the smallest network that reaches `GOAL`."""
    best = smallest(results)
    if best is None:
        nearest = max(results, key=lambda each: results[each].report["accuracy"])
        best_accuracy = f"{nearest.name}, {results[nearest].report['accuracy']:.2%}"
        return f"no network reaches {GOAL:.0%}; the best is {best_accuracy}"
    report = results[best].report
    return (
        f"the smallest network that reaches {GOAL:.0%}: {best.name}, "
        f"{report['accuracy']:.2%} with {report['table_bytes']:,} bytes of tables"
    )


def sizes_table(results: Results) -> str:
    """Return a table of the results, the smallest first."""
    first = next(iter(results))
    columns = ("bits", "finetune", "accuracy", "float", "same answers", "bytes")
    rows = []
    for each in sorted(results, key=lambda c: results[c].report["table_bytes"]):
        report = results[each].report
        keys = map(str, [*each.swept.values(), each.bits, report["finetune"]])
        shares = (report[key] for key in ("accuracy", "float_accuracy", "same_answers"))
        cells = (f"{share:.2%}" for share in shares)
        rows.append([*keys, *cells, f"{report['table_bytes']:,}"])
    text = table([*first.swept, *columns], rows[:MAX_ROWS])
    if (more := len(rows) - MAX_ROWS) > 0:
        text += f"\nand {more:,} more in {SIZES_TABLE}"
    return text


def plot(results: Results) -> Image:
    """Plot accuracy against bytes, with a curve for each bit width."""
    # Matplotlib takes 0.4 s to import, which the export of one network saves.
    from pipeline.plots.sizes import SizePoint, accuracy_by_size

    best, curves = smallest(results), dict[str, list[SizePoint]]()
    for each in sorted(results, key=lambda c: -c.bits):
        report = results[each].report
        point = SizePoint(
            report["table_bytes"],
            report["accuracy"],
            hidden=report["hidden"],
            caption=each.name if each == best else "",
        )
        curves.setdefault(results[each].width, []).append(point)
    return accuracy_by_size(curves, goal=GOAL)
