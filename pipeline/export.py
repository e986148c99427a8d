"""Exports a trained network as C code and an ONNX file.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and quantizes it to
integers. bits= is the bit width of the weights of layer 1; layer 2 always has 8 bits.
With fewer than 8 bits, the network is first trained for ten more epochs with rounded
weights (fine-tuning). Takes about 5 s, or 8 s with fine-tuning. Writes these files to
outputs/export/ and records them in the MLflow run that trained the network:

  digits.c, digits.h       the network in C99
  selftest.c, selftest.h   a self-test for a board
  example.c, image0.bin    a program that classifies an image, and test image 0
  straighten.c             for dataset=mnist_upright: straightens an image
  integers.safetensors     all integers of the network
  network.onnx             the floating-point network
  report.json              the accuracy and the sizes
  weights.png              the weights before and after quantization
  changed.png              the test images whose prediction changes

The C code must compute the same integers as NumPy for all test images and for probe
images, which cover other cases. network.onnx must give the same logits as PyTorch, up
to rounding. If a result differs, nothing is written for this network and bit width. If
gcc, clang or the packages for ONNX are missing, the comparisons that need them are
skipped, and the command prints a message. pip install -e '.[export]' installs the
packages for ONNX.

bits=all or -m bits=8,4,2,1 exports several bit widths, each to its own folder; bits=all
also writes report.html, the interactive page with a switch between the bit widths.
sweep=<id> exports all networks of a sweep. sizes.csv and sizes.png then show the
accuracy and the size of each network. These exports run on all cores of this machine.

The output has these columns:

  finetune           the number of epochs of fine-tuning
  float              the accuracy of the floating-point network
  same predictions   the percentage of test images for which the quantized
                     and the floating-point network predict the same class
  bytes              the size of the tables: all weights, biases and shifts
"""

import os
from typing import TYPE_CHECKING, Unpack

from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    ExportConfig,
    ExportKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.deploy.export import ExportResult


@documented(ExportConfig, ExportKeywords)
def export(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[ExportKeywords],
) -> "ExportResult":
    """Export a network as C code, like `python -m pipeline.export`.

    Args:
        folder: Where to write the files; by default, outputs/export/. It must be
            new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as bits=4; they are listed below.

    Returns:
        The exports, each with its report.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file, the store or the trained network cannot be used.
        PartlyFailed: If some networks or bit widths cannot be used.
            `error.result` has the results of all others.
    """
    with output(quiet=quiet):
        return run_export(from_python(ExportConfig, settings, folder))


def run_export(command: Command[ExportConfig]) -> "ExportResult":
    """Load a network, convert it to integers, and check, write and record the result.

    A command with several combinations, such as -m bits=8,4, exports each bit width.
    """
    with busy("loading PyTorch"):
        from pipeline.deploy.export import export
    bits = [each.values["bits"] for each in command.combinations]
    return export(command.config, bits, command.folder)


if __name__ == "__main__":
    main(run_export, ExportConfig)
