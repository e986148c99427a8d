"""Compiles the C code for this computer and compares its results with the reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.deploy.checks import Check, Outputs, compare, result_type
from pipeline.deploy.toolchains import Tool, execute, missing

HOST = Path(__file__).parent / "c" / "host.c"
PROGRAM = "host"
COMPILERS = tuple(
    Tool(compiler, f"{compiler} libc6-dev", header="stdio.h")
    for compiler in ("gcc", "clang")
)
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion")
COMPILE_TIMEOUT = 600.0  # seconds; tables of 10,000 hidden neurons take half a minute
# Seconds, and seconds for each image and hidden neuron; measured: 0.3 us.
RUN_TIMEOUT = 30.0, 0.0001


def check_compiled(
    compiler: Tool,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
) -> Check:
    """Compile the C code of `c_source.write_source`, and compare its results.

    The compiled files are written into the folder of the code.

    Raises:
        UserError: If the compiler or the program fails, with its message.
    """
    name = f"C code, {compiler.program}"
    if skipped := missing([compiler]):
        return Check(name, skipped=skipped)
    return Check(
        f"{name} {compiler.version}",
        len(images),
        difference=run_on_host(compiler.program, folder, images, expected),
        tools={compiler.program: compiler.version},
    )


def run_on_host(
    compiler: str,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
    *,
    options: Sequence[str] = ("-O2",),
) -> str:
    """Compile the C code and run it; return the first difference, "" for none."""
    flags = [*STRICT, *options, "-I.", "-o", PROGRAM]
    # Without example.c, which has its own `main`.
    command: list[str | Path] = [compiler, *flags, HOST, "digits.c", "selftest.c"]
    execute(command, folder=folder, timeout=COMPILE_TIMEOUT)
    start, each = RUN_TIMEOUT
    name = f"the C code, compiled with {compiler},"
    output = execute(
        [folder.absolute() / PROGRAM],
        folder=folder,
        timeout=start + each * expected.sums.size,
        name=name,
        stdin=images.tobytes(),
    )
    record = result_type(expected.sums.shape[1])
    return compare(output, record, expected, name=name)
