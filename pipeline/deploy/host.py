"""Compiles the C code for this computer and compares its results with the reference."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.deploy.checks import HEADER, Check, Outputs, compare, result_type
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.toolchains import Tool, execute, missing, translate_errors
from pipeline.files import printable

HOST = Path(__file__).parent / "c" / "host.c"
COMPILERS = tuple(
    Tool(compiler, f"{compiler} libc6-dev", header="stdio.h")
    for compiler in ("gcc", "clang")
)
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion")
COMPILE_TIMEOUT = 600.0  # seconds; tables of 10,000 hidden neurons take half a minute
# Seconds, and seconds for each image and hidden neuron; measured: 0.3 us.
RUN_TIMEOUT = 30.0, 0.0001


def check_on_host(
    folder: Path, network: IntegerNetwork, images: UInt8[np.ndarray, "n 28 28"]
) -> list[Check]:
    """Compile the C code with each compiler, run it on images, and compare.

    Args:
        folder: Contains the files of `c_source.render_source`.
        network: The reference.
        images: Their sums, logits and classes are compared.

    Returns:
        One check for each of `COMPILERS`; it is skipped if the compiler is missing.

    Raises:
        UserError: If a compiler fails; it contains the compiler's message.
    """
    expected = Outputs.of(network, images)
    checks = []
    for compiler in COMPILERS:
        check = Check(f"C code, {compiler.program}", skipped=missing([compiler]))
        if not check.skipped:
            check = Check(
                f"{check.name} {compiler.version}",
                images=len(images),
                difference=run_on_host(compiler.program, folder, images, expected),
                tools={compiler.program: compiler.version},
            )
        checks.append(check)
    return checks


def run_on_host(
    compiler: str,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
    *,
    options: Sequence[str] = ("-O2",),
) -> str:
    """Compile the C code, run it on images, and compare its results.

    Returns:
        The first difference; "" if there is none.

    Raises:
        UserError: If the compiler fails, with its message, or the program does not
            end or may not run.
    """
    start, each = RUN_TIMEOUT
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        folder, build = folder.absolute(), Path(temporary)
        # example.c has its own `main`.
        sources = [HOST, folder / "digits.c", folder / "selftest.c"]
        flags = [*STRICT, *options, f"-I{folder}", "-o", "host"]
        command: list[str | Path] = [compiler, *flags, *sources]
        execute(command, folder=build, timeout=COMPILE_TIMEOUT)
        with translate_errors(f"the C code, compiled with {compiler},", folder=build):
            run = subprocess.run(
                [build / "host"],
                input=np.ascontiguousarray(images).tobytes(),
                capture_output=True,
                timeout=start + each * expected.sums.size,
            )
    if run.returncode:
        lines = run.stderr.decode(errors="replace").split("\n")
        message = next((line for line in lines if "error" in line.lower()), lines[0])
        status = f"the program ended with status {run.returncode}"
        return f"{status}: {printable(message)}"
    record = result_type(expected.sums.shape[1])
    size = HEADER + len(images) * record.itemsize
    if len(run.stdout) != size:
        return f"the program wrote {len(run.stdout):,} bytes, not {size:,}"
    return compare(run.stdout, record, expected)
