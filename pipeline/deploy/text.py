"""What `export` prints about quantised networks and their checks.

`output` writes the files.
"""

from collections.abc import Mapping, Sequence

from pipeline import neuron_name
from pipeline.deploy.checks import Check
from pipeline.deploy.quantized import QuantizedModel, bits_text
from pipeline.terminal import table, wrap

MAX_NAMED = 10  # neurons in a message
FIGURES = (
    "In bytes: flash of code and tables, RAM of digits_t and the logits, and the\n"
    "stack of one call. Instructions of an emulator are not clock cycles."
)


def summary(model: QuantizedModel) -> str:
    """Return a table that compares a quantised network with the one in floats."""
    columns = ("weights", "fine-tuning", "accuracy", "same answers", "bytes")
    size, epochs = 4 * model.trained.network.parameter_count, model.finetuning_epochs
    rows = [
        ("float", "-", f"{model.float_accuracy:.2%}", "-", f"{size:,}"),
        (
            bits_text(model.integers.bits),
            f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else "-",
            f"{model.accuracy:.2%}",
            f"{model.same_answers:.2%}",
            f"{model.integers.table_bytes:,}",
        ),
    ]
    return table(columns, rows, left=("weights",))


def describe(
    models: Sequence[QuantizedModel], checks: Sequence[Sequence[Check]]
) -> str:
    """Return what was compared and measured, and which neurons are silent."""
    measured = figures(models, checks)
    paragraphs = [
        describe_checks(models, checks),
        *([measured, FIGURES] if measured else []),
        describe_silent_neurons(models),
    ]
    return "\n\n".join(filter(None, paragraphs))


def describe_checks(
    models: Sequence[QuantizedModel], checks: Sequence[Sequence[Check]]
) -> str:
    """Return a line for each comparison; those that were not run come last.

    Args:
        models: The quantised networks.
        checks: Their comparisons.
    """
    widths: dict[tuple[bool, str], list[str]] = {}  # of each line
    for model, results in zip(models, checks, strict=True):
        for check in results:
            line = f"{check.name}: {check.compared} of {check.images:,} images"
            if check.skipped:
                line = f"{check.name}: {check.skipped}"
            widths.setdefault((bool(check.skipped), line), []).append(
                bits_text(model.integers.bits)
            )
    return list_checks(
        {
            key: f" ({', '.join(names)})" * (len(names) < len(models))
            for key, names in widths.items()
        }
    )


def list_checks(endings: Mapping[tuple[bool, str], str]) -> str:
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


def figures(models: Sequence[QuantizedModel], checks: Sequence[Sequence[Check]]) -> str:
    """Return a table of what was measured on emulators; "" if nothing was."""
    columns = ("digits.c", "processor, compiler", "flash", "RAM", "stack", "per image")
    rows = []
    for model, results in zip(models, checks, strict=True):
        for check in results:
            if not check.figures:
                continue
            values = {name: f"{value:,}" for name, value in check.figures.items()}
            sizes = [values.pop(name, "-") for name in ("flash", "ram", "stack")]
            time = [f"{value} {unit}" for unit, value in values.items()] or ["-"]
            width = bits_text(model.integers.bits)
            rows.append((width, check.name, *sizes, *time))
    return table(columns, rows, left=columns[:2]) if rows else ""


def differences(model: QuantizedModel, checks: Sequence[Check]) -> list[str]:
    """Return a line for each implementation that differs from the reference."""
    bits = bits_text(model.integers.bits)
    return [f"{bits}: {c.name}: {c.difference}" for c in checks if c.difference]


def describe_silent_neurons(models: Sequence[QuantizedModel]) -> str:
    """Return lines that name the neurons whose output is always 0; "" for none."""
    widths: dict[str, list[str]] = {}  # of each list of neurons
    for model in models:
        names = [neuron_name(1, j) for j in model.silent_neurons]
        if names:
            more = f" and {len(names) - MAX_NAMED:,} more" * (len(names) > MAX_NAMED)
            listed = ", ".join(names[:MAX_NAMED]) + more
            widths.setdefault(listed, []).append(bits_text(model.integers.bits))
    return "\n".join(
        wrap(f"{listed}: output 0 for every training image ({', '.join(names)})")
        for listed, names in widths.items()
    )
