"""Explains every parameter of a trained network.

Analyzes the network in outputs/train/ (or the network of run=<id> or model=<file>) on
its data set. Prints a tutorial: how many parameters there are and why, how
y = m·x + c leads to the whole network, which weights are frozen, and what each neuron
responds to. Frozen weights are weights that training never changed. Writes a summary,
tables, plots and an interactive page, report.html, to outputs/inspect/ and to the
network's MLflow run. Takes about 5 s.

With one of four settings, the command prints a single result instead of the tutorial.
neuron= shows how a neuron computes its sum for an image. weight= shows the history of
a parameter. against= compares the network with another network. These three results are
also written to outputs/details/. arrays=true prints the four arrays in NumPy's
abbreviated form, and the path of the file with all values. After
python -m pipeline.export, integers=true together with neuron= shows the integer sum, as
a microcontroller computes it, and the floating-point sum.
"""

# `python pipeline/train.py` would import this module in place of Python's `inspect`.
if __name__ == "inspect":
    import sys

    stage_name = sys.argv[0].rpartition("/")[2].removesuffix(".py")
    sys.exit(f"error: run this stage with python -m pipeline.{stage_name}")

import os
from typing import TYPE_CHECKING, Unpack

from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    InspectConfig,
    InspectKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.interpret.inspect import Inspection


@documented(InspectConfig, InspectKeywords)
def inspect(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[InspectKeywords],
) -> "Inspection":
    """Explain a network, like `python -m pipeline.inspect`.

    Args:
        folder: Where to write the files; by default, outputs/inspect/. It must be
            new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as neuron="N11"; they are listed below.

    Returns:
        The text that the command prints, and the folder of the files.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file, the store or the trained network cannot be used.
    """
    with output(quiet=quiet):
        return run_inspect(from_python(InspectConfig, settings, folder))


def run_inspect(command: Command[InspectConfig]) -> "Inspection":
    """Load a network and its data, then analyze it or explain one part of it."""
    with busy("loading PyTorch"):
        from pipeline.interpret.inspect import inspect
    return inspect(command.config, command.folder)


if __name__ == "__main__":
    main(run_inspect, InspectConfig)
