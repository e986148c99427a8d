"""What `export` prints about quantised networks and their checks.

`output` writes the files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline import neuron_name
from pipeline.deploy.output import Exported
from pipeline.model import TrainedModel
from pipeline.terminal import table, wrap

MAX_NAMED = 10  # neurons in a message
FIGURES = (
    "In bytes: flash of code and tables, RAM of digits_t and the logits, and the\n"
    "stack of one call. Instructions of an emulator are not clock cycles."
)


def summary(trained: TrainedModel, exported: Exported) -> str:
    """Return a table that compares a quantised network with the one in floats."""
    columns = ("weights", "fine-tuning", "accuracy", "same answers", "bytes")
    report, size = exported.report, 4 * trained.network.parameter_count
    epochs = report["finetune"]
    rows = [
        ("float", "-", f"{report['float_accuracy']:.2%}", "-", f"{size:,}"),
        (
            exported.width,
            f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else "-",
            f"{report['accuracy']:.2%}",
            f"{report['same_answers']:.2%}",
            f"{report['table_bytes']:,}",
        ),
    ]
    return table(columns, rows, left=("weights",))


def describe(exports: Sequence[Exported]) -> str:
    """Return what was compared and measured, and which neurons are silent.

    Args:
        exports: Those of one network, with one or several widths.
    """
    measured = figures(exports)
    paragraphs = [
        describe_checks(exports),
        *([measured, FIGURES] if measured else []),
        describe_silent_neurons(exports),
    ]
    return "\n\n".join(filter(None, paragraphs))


def describe_checks(exports: Sequence[Exported]) -> str:
    """Return a line for each comparison, with the widths if they are not all."""
    widths: dict[tuple[bool, str], list[str]] = {}  # of each line
    for exported in exports:
        for check in exported.checks:
            compared = f"{check.compared} of {check.images:,} images"
            line = f"{check.name}: {check.skipped or compared}"
            widths.setdefault((bool(check.skipped), line), []).append(exported.width)
    return _list_checks(
        {
            key: f" ({', '.join(names)})" * (len(names) < len(exports))
            for key, names in widths.items()
        }
    )


def count_checks(exports: Sequence[Exported]) -> str:
    """Return a line for each implementation, with the number of its comparisons.

    Args:
        exports: Those of several networks, whose probe images differ.
    """
    counts = Counter(
        (bool(check.skipped), f"{check.name}: {check.skipped or check.compared}")
        for exported in exports
        for check in exported.checks
    )
    total = f"of {len(exports):,} exports"
    return _list_checks({key: f" ({n:,} {total})" for key, n in counts.items()})


def _list_checks(endings: Mapping[tuple[bool, str], str]) -> str:
    """Return a line for each comparison; those that were not run come last.

    Args:
        endings: The end of each line, by whether the comparison was skipped, and the
            start of the line.
    """
    lines = ["Compared with the reference (NumPy for integers, PyTorch for floats):"]
    for (skipped, line), end in sorted(endings.items(), key=lambda item: item[0][0]):
        start = "  not run  " if skipped else "  equal    "
        lines.append(wrap(f"{line}{end}", indent=len(start), start=start))
    return "\n".join(lines)


def figures(exports: Sequence[Exported]) -> str:
    """Return a table of what was measured on emulators; "" if nothing was."""
    columns = ("digits.c", "processor, compiler", "flash", "RAM", "stack", "per image")
    rows = []
    for exported in exports:
        for check in exported.checks:
            if not check.figures:
                continue
            values = {name: f"{value:,}" for name, value in check.figures.items()}
            sizes = [values.pop(name) for name in ("flash", "ram", "stack")]
            [(unit, time)] = values.items()
            rows.append((exported.width, check.name, *sizes, f"{time} {unit}"))
    return table(columns, rows, left=columns[:2]) if rows else ""


def describe_silent_neurons(exports: Sequence[Exported]) -> str:
    """Return lines that name the neurons whose output is always 0; "" for none."""
    widths: dict[str, list[str]] = {}  # of each list of neurons
    for exported in exports:
        names = [neuron_name(1, j) for j in exported.silent_neurons]
        if names:
            more = f" and {len(names) - MAX_NAMED:,} more" * (len(names) > MAX_NAMED)
            listed = ", ".join(names[:MAX_NAMED]) + more
            widths.setdefault(listed, []).append(exported.width)
    return "\n".join(
        wrap(f"{listed}: output 0 for every training image ({', '.join(names)})")
        for listed, names in widths.items()
    )
