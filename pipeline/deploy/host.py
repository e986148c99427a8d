"""Compiles the C code for this computer and compares its results with the reference.

`compare_results` serves every platform on which c/harness.c runs.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import CLASSES, UserError
from pipeline.deploy.checks import Check, Outputs
from pipeline.deploy.integers import IntegerNetwork
from pipeline.files import printable

COMPILERS = ("gcc", "clang")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion")
# The files that harness.c needs; example.c has a `main` of its own.
SOURCES = ("digits.c", "selftest.c")


def check_on_host(
    folder: Path, network: IntegerNetwork, images: UInt8[np.ndarray, "n 28 28"]
) -> list[Check]:
    """Compile the C code in `folder` with each compiler, and run it on the images.

    Returns:
        One check for each of `COMPILERS`; it is skipped if the compiler is missing.

    Raises:
        UserError: If a compiler fails; it contains the compiler's message.
    """
    return [
        check_with(compiler, folder, network, images)
        if shutil.which(compiler)
        else Check(f"C code, {compiler}", skipped=f"{compiler} is not installed")
        for compiler in COMPILERS
    ]


def check_with(
    compiler: str,
    folder: Path,
    network: IntegerNetwork,
    images: UInt8[np.ndarray, "n 28 28"],
    *,
    options: Sequence[str] = ("-O2",),
) -> Check:
    """Do the same with one compiler, which is installed."""
    command = [compiler, "-dumpfullversion", "-dumpversion"]
    version = subprocess.check_output(command, text=True).strip()
    with (
        as_file(files("pipeline.deploy").joinpath("c")) as harness,
        tempfile.TemporaryDirectory() as built,
    ):
        program = Path(built) / "harness"
        sources = [harness / "harness.c", harness / "host.c"]
        compile_c(
            [
                *(compiler, *STRICT, *options, f"-I{folder}", f"-I{harness}"),
                *(str(path) for path in [*sources, *(folder / s for s in SOURCES)]),
                *("-o", str(program)),
            ]
        )
        run = subprocess.run([program], input=images.tobytes(), capture_output=True)
    difference = compare_results(run.stdout, network, images)
    if run.returncode:
        message = first_error(run.stderr.decode(errors="replace"))
        difference = f"the program ended with status {run.returncode}: {message}"
    return Check(
        f"C code, {compiler} {version}",
        images=len(images),
        difference=difference,
        tools={compiler: version},
    )


def compile_c(command: Sequence[str]) -> None:
    """Run a compiler.

    Raises:
        UserError: If it fails; it contains the compiler's first error.
    """
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if run.returncode:
        raise UserError(f"{command[0]} failed: {first_error(run.stderr)}")


def first_error(text: str) -> str:
    """Return the first line that reports an error, or the last line."""
    lines = text.strip().splitlines() or ["it printed nothing"]
    errors = [line for line in lines if "error" in line.lower()]
    return printable([*errors, lines[-1]][0])


def compare_results(
    output: bytes,
    network: IntegerNetwork,
    images: UInt8[np.ndarray, "n 28 28"],
    *,
    byteorder: str = sys.byteorder,
) -> str:
    """Compare the output of c/harness.c with the reference.

    Returns:
        The first difference; "" if there is none.
    """
    order = {"little": "<", "big": ">"}[byteorder]
    record = np.dtype(
        [
            ("sums", f"{order}i4", (network.hidden,)),
            ("logits", f"{order}i4", (CLASSES,)),
            ("answer", "u1"),
        ]
    )
    size = 2 + len(images) * record.itemsize
    if len(output) != size:
        return f"the program wrote {len(output):,} bytes, not {size:,}"
    selftest, equal = output[:2]
    results = np.frombuffer(output, record, offset=2)
    sums, logits = (results[name].astype(np.int64) for name in ("sums", "logits"))
    expected = Outputs.of(network, images)
    difference = Outputs(sums, logits).first_difference(expected)
    if difference:
        return difference
    if selftest:
        return f"the self-test returned {selftest}, not 0"
    if equal:
        return f"the class of equal logits is {equal}, not 0"
    answers = expected.logits.argmax(axis=1)
    for row in np.flatnonzero(results["answer"] != answers)[:1].tolist():
        return f"image {row}: the class is {results['answer'][row]}, not {answers[row]}"
    return ""
