"""`python -m pipeline` lists the stages; it runs none of them."""

import difflib
import shlex
import sys
from collections.abc import Sequence

STAGES = {
    "data": "download a data set, verify it and plot it",
    "train": "train a network or a sweep, and record it in MLflow",
    "evaluate": "measure how well a network classifies test sets",
    "predict": "classify images",
    "inspect": "explain the parameters of a trained network",
    "export": "export a network as C code and an ONNX file",
    "ui": "show the recorded runs in a browser, in MLflow's UI",
    "sync": "copy recorded runs to an MLflow server",
    "homework": "write homework questions for a student",
    "grade": "grade the homework of a class",
}

LIST = "\n".join(f"python -m pipeline.{k:9} {text}" for k, text in STAGES.items())


def main(words: Sequence[str]) -> None:
    """Print the stages; with other words, print an error and exit with status 2."""
    if not {*words} - {"-h", "--help"}:
        print(f"{LIST}\n\nAdd --help to a command to list its settings.")
        return
    name, *others = words
    message = f"{name!r} is not a stage: choose one of\n{LIST}"
    for stage in difflib.get_close_matches(name, STAGES, 1):
        command = shlex.join(["python", "-m", f"pipeline.{stage}", *others])
        message = f"each stage is a module: write {command}"
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
