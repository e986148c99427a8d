"""What `export` prints about its checks.

`sizes` compares the results.
"""

from collections.abc import Sequence

from pipeline import neuron_name
from pipeline.deploy.output import ExportedNetwork
from pipeline.terminal import wrap

MAX_NAMED = 10  # neurons in a message


def describe_checks(exports: Sequence[ExportedNetwork]) -> str:
    """Return a line for each comparison; those that were not run come last."""
    images: dict[tuple[bool, str], list[int]] = {}  # by whether it was skipped
    for exported in exports:
        for check in exported.checks:
            text = f"{check.name}: {check.skipped or check.compared}"
            images.setdefault((bool(check.skipped), text), []).append(check.images)
    lines = ["Compared with the reference (NumPy for integers, PyTorch for floats):"]
    for (skipped, text), counts in sorted(images.items(), key=lambda item: item[0][0]):
        start = "  not run  " if skipped else "  equal    "
        text += "" if skipped else f" of {sum(counts):,} images"
        if len(exports) > 1:
            text += "" if skipped else " in all"
            text += f" ({len(counts):,} of {len(exports):,} exports)"
        lines.append(wrap(text, indent=len(start), start=start))
    return "\n".join(lines)


def describe_silent_neurons(exports: Sequence[ExportedNetwork]) -> str:
    """Return a line for each export with neurons whose output is always 0."""
    lines = []
    for exported in exports:
        names = [neuron_name(1, j) for j in exported.silent_neurons]
        if names:
            more = f" and {len(names) - MAX_NAMED:,} more" * (len(names) > MAX_NAMED)
            listed = ", ".join(names[:MAX_NAMED]) + more
            rule = f"output 0 for every training image ({exported.bit_width})"
            lines.append(wrap(f"{listed}: {rule}"))
    return "\n".join(lines)
