"""`python -m pipeline` lists the stages; `python -m pipeline train` runs a stage."""

import runpy
import sys
from collections.abc import Sequence

from pipeline.base.text import command_line

STAGES = {
    "data": "prepare a data set and plot its images",
    "train": "train networks and record them in MLflow",
    "evaluate": "measure how well a network classifies test sets",
    "predict": "classify images and mark unsure predictions",
    "inspect": "explain every parameter of a trained network",
    "export": "export a trained network as C code and an ONNX file",
    "ui": "show the recorded runs in a browser, in MLflow's UI",
    "sync": "copy recorded runs to an MLflow server",
    "homework": "write homework questions for a student",
    "grade": "grade the homework of a class",
}

LIST = "\n".join(f"{command_line(k):28} {text}" for k, text in STAGES.items())


def main(arguments: Sequence[str]) -> None:
    """Run the stage that `arguments` name; without a name, list all stages.

    An unknown name is an error. --help can precede the name.
    """
    stage = next(
        (argument for argument in arguments if argument not in ("-h", "--help")), None
    )
    if stage is None:
        print(f"{LIST}\n\nAdd --help to a command to list its settings.")
    elif stage in STAGES:
        index = arguments.index(stage)
        sys.argv[1:] = [*arguments[:index], *arguments[index + 1 :]]
        runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
    else:
        message = f"`{stage}` is not a stage. The stages are:\n{LIST}"
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
