"""The text of a sweep and the description of its run: a table and the best networks.

The text is computed only from the outcomes, which `configurations.py` groups and ranks.
"""

import itertools
from collections.abc import Sequence

from pipeline.base.paths import displayed
from pipeline.base.tables import table
from pipeline.base.terminal import say
from pipeline.base.text import (
    command_line,
    counted,
    next_steps,
    printable,
    short_id,
    wrap,
)
from pipeline.records.file_names import TABLE_FILE
from pipeline.sweeps.configurations import Configuration, why_no_best
from pipeline.sweeps.jobs import MAX_REASONS, TrainedOutcome
from pipeline.sweeps.result import SweepResult, report_files

MAX_DESCRIPTION = 7300  # characters; MLflow accepts 8,000, including the links
MAX_ROWS = 20  # rows of the table in the terminal


def print_report(result: SweepResult, hint: str) -> None:
    """Print the table, the best configuration and the files of a result.

    `hint` says how to view the run of the sweep.
    """
    outcomes, configurations = result.outcomes, result.configurations
    columns, rows = _cells(select_rows(configurations))
    say(f"\n{table(columns, rows, left=[''])}")
    if hidden := len(configurations) - len(rows):
        say(f"... and {hidden:,} more in {TABLE_FILE}")
    if reused := sum(outcome.reused for outcome in outcomes):
        runs = f"{reused:,} of {len(outcomes):,} training runs"
        verb = "was" if reused == 1 else "were"
        say(wrap(f"{runs} {verb} reused: again=true trains all of them again"))
    note = _meaning_of_deviations(configurations)
    say("\n".join(filter(None, [f"\n{wrap(summarize(configurations))}", note])) + "\n")
    names = " and ".join(path.name for path in report_files(result.folder))
    say(f"files  {displayed(result.folder)}/{names}\n{hint}", end="")
    trained = [each for each in outcomes if isinstance(each, TrainedOutcome)]
    if best := result.best:
        say(_next_step(best, name="the best network"))
    elif trained:
        say(_next_step(trained[0], name="one of the networks"))


def select_rows(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Select at most `MAX_ROWS` configurations, in order.

    The best configurations fill half of the rows. Failed configurations have priority
    in the other half, followed by the next best configurations.
    """

    def priority(rank: int) -> tuple[bool, bool]:
        return rank >= MAX_ROWS // 2, not configurations[rank].failed

    ranks = sorted(range(len(configurations)), key=priority)[:MAX_ROWS]
    return [configurations[rank] for rank in sorted(ranks)]


def description_text(configurations: Sequence[Configuration]) -> str:
    """Return Markdown about a sweep, with the first rows of its table that fit.

    The configurations are in the order of the table.
    """
    # MLflow shows the first five lines, with the links, and all other lines after a
    # click. The best configurations must be among the first.
    texts = [summarize(configurations), _meaning_of_deviations(configurations)]
    summary = "\n\n".join(filter(None, texts))
    gap = "&emsp;| "  # MLflow shows no space between columns
    # No row is shorter than 40 characters.
    columns, rows = _cells(configurations[: MAX_DESCRIPTION // 40])
    lines = [
        f"| {gap.join(cell.replace('|', '/') for cell in row)} |"
        for row in [columns, *rows]
    ]
    lines.insert(1, "|" + " ---: |" * len(columns))
    limit = MAX_DESCRIPTION - len(summary) - 50
    ends = itertools.accumulate(len(line) + 1 for line in lines)
    shown = [line for line, end in zip(lines, ends, strict=True) if end <= limit]
    parts = ["\n".join(shown)]
    if more := len(configurations) - (len(shown) - 2):
        parts.append(f"and {more:,} more in `{TABLE_FILE}`.")
    return "\n\n".join([*parts, summary])


def summarize(configurations: Sequence[Configuration]) -> str:
    """Describe the most accurate configuration, and the smallest that is as good.

    "As good" means within one standard deviation of the best configuration. If seeds
    failed in all configurations, the text says how many seeds of the best configuration
    were trained. While a sweep runs, a configuration without all of its seeds is not
    the best.
    """
    best = configurations[0]
    is_only = best.trained and not best.varied_values
    if not is_only and (reason := why_no_best(configurations)):
        return f"no best configuration: {reason}"
    accuracy = f"validation accuracy {best.describe_accuracy()}"
    if not best.has_all_seeds:
        seeds = counted(best.seed_count, "seed")
        accuracy += f" ({len(best.trained)} of {seeds})"
    if is_only:
        has_mean = len(best.trained) > 1 and best.has_all_seeds
        return f"all seeds: {accuracy}" if has_mean else accuracy
    limit = best.accuracy - (best.std or 0)
    trained = [each for each in configurations if each.trained]
    rivals = [each for each in trained if each.has_all_seeds == best.has_all_seeds]
    close = [each for each in rivals if each.accuracy >= limit]
    smallest = min(close, key=lambda configuration: configuration.parameter_count)
    others = ""
    if smallest.parameter_count < best.parameter_count:
        others = (
            "; the smallest configuration within one standard deviation of it: "
            f"{smallest.name} ({smallest.parameter_count:,} parameters)"
        )
    return f"best: {best.name}, {accuracy}{others}"


def _meaning_of_deviations(configurations: Sequence[Configuration]) -> str:
    """Say what ± means; an empty text if no configuration has a standard deviation."""
    has_any = any(each.std is not None for each in configurations)
    return "±: the sample standard deviation over the seeds" if has_any else ""


def _next_step(outcome: TrainedOutcome, *, name: str) -> str:
    network = {"model": str(displayed(outcome.network_path))}
    if outcome.run_id:
        network = {"run": short_id(outcome.run_id)}
    return next_steps({command_line("inspect", **network): f"explains {name}"})


def _cells(
    configurations: Sequence[Configuration],
) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of the table, as text."""
    rows = []
    for each in configurations:
        row, accuracy, parameters, seconds = each.row(), "-", "-", "-"
        if each.trained:
            accuracy = each.describe_accuracy()
            parameters, seconds = f"{row['parameters']:,}", f"{row['seconds']:.1f}"
        cells = {
            **each.varied_values,
            "trained": row["trained"],
            "val accuracy": accuracy,
            "parameters": parameters,
            "seconds": seconds,
            "": each.describe_failures(limit=MAX_REASONS),
        }
        rows.append(cells)
    return [*rows[0]], [[printable(str(x)) for x in row.values()] for row in rows]
