"""What `export` prints about quantised networks and their checks.

`output` writes the files.
"""

from collections.abc import Sequence

from pipeline import neuron_name
from pipeline.deploy.checks import Check
from pipeline.deploy.quantized import QuantizedModel, bits_text
from pipeline.terminal import table

MAX_NAMED = 10  # neurons in a message


def summary(models: Sequence[QuantizedModel]) -> str:
    """Return a table that compares quantised networks with the one in floats."""
    columns = ("weights", "fine-tuning", "accuracy", "same answers", "bytes")
    first = models[0]
    size = 4 * first.trained.network.parameter_count
    rows = [("float", "-", f"{first.float_accuracy:.2%}", "-", f"{size:,}")]
    for model in models:
        epochs = model.finetuning_epochs
        rows.append(
            (
                bits_text(model.integers.bits),
                f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else "-",
                f"{model.accuracy:.2%}",
                f"{model.same_answers:.2%}",
                f"{model.integers.table_bytes:,}",
            )
        )
    return table(columns, rows, left=("weights",))


def describe_checks(checks: Sequence[Check]) -> list[str]:
    """Return a line for each comparison that was made, and for each that was not."""
    made = [
        f"equal    {check.name}: {check.compared} of {check.images:,} images"
        for check in checks
        if not check.skipped
    ]
    skipped = [
        f"not run  {check.name}: {check.skipped}" for check in checks if check.skipped
    ]
    return made + skipped


def differences(model: QuantizedModel, checks: Sequence[Check]) -> list[str]:
    """Return a line for each implementation that differs from the reference."""
    bits = bits_text(model.integers.bits)
    return [f"{bits}: {c.name}: {c.difference}" for c in checks if c.difference]


def describe_silent_neurons(model: QuantizedModel) -> str:
    """Return a line that names the neurons whose output is always 0; "" for none."""
    names = [neuron_name(1, j) for j in model.silent_neurons[:MAX_NAMED]]
    if not names:
        return ""
    more = len(model.silent_neurons) - len(names)
    listed = ", ".join(names) + f" and {more:,} more" * bool(more)
    return f"{listed}: the output is 0 for every training image"
