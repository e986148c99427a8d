"""Compiles the C code for this computer and compares its results with the reference."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError
from pipeline.base.text import printable
from pipeline.deploy.checks import Check, Outputs, compare, result_type

PROGRAM = Path(__file__).parent / "c" / "host.c"
# Only the tests add -Werror, because a later compiler may have different warnings.
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion")
COMPILE_TIMEOUT = 600.0  # seconds; tables of 10,000 hidden neurons take half a minute
RUN_TIMEOUT = 30.0  # seconds
SUM_TIMEOUT = 0.0001  # added for each image and hidden neuron; measured: 0.3 us


@dataclass(frozen=True)
class Tool:
    """A program, or a header for a compiler, and its Debian package."""

    program: str
    package: str
    header: str = ""

    @property
    def installed(self) -> bool:
        """Whether the program and the header can be used."""
        if not shutil.which(self.program):
            return False
        if not self.header:
            return True
        command = [self.program, "-E", "-include", self.header, "-x", "c", "/dev/null"]
        result = subprocess.run(command, capture_output=True, text=True)
        # If a compiler has any other problem, its message is quoted when it compiles
        # the C code.
        return not result.returncode or self.header not in result.stderr

    @cached_property
    def version(self) -> str:
        """The version that the program prints, such as 14.2.1."""
        command = [self.program, "--version"]
        text = subprocess.run(command, capture_output=True, text=True).stdout
        number = re.search(r"\d+\.\d+\.\d+", text)
        return number[0] if number else text.strip().split("\n")[0]


COMPILERS = tuple(
    Tool(compiler, f"{compiler} libc6-dev", header="stdio.h")
    for compiler in ("gcc", "clang")
)


def missing(tools: Sequence[Tool]) -> str:
    """Say how to install the missing tools; return "" if all are installed."""
    packages = dict.fromkeys(tool.package for tool in tools if not tool.installed)
    if not packages:
        return ""
    return f"not installed: apt-get install {' '.join(packages)}"


def check_compiled(
    compiler: Tool,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
) -> Check:
    """Compile the C code of `c_source.write_source`, and compare its results.

    The compiled files are written into the folder of the code.

    Raises:
        UserError: If the compiler or the program fails; its message is quoted.
    """
    name = f"C code, {compiler.program}"
    if skipped := missing([compiler]):
        return Check(name, skipped=skipped)
    return Check(
        f"{name} {compiler.version}",
        len(images),
        difference=run_compiled(compiler.program, folder, images, expected),
        tools={compiler.program: compiler.version},
    )


def run_compiled(
    compiler: str,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
    *,
    options: Sequence[str] = ("-O2",),
) -> str:
    """Compile and run the C code; return the first difference, or ""."""
    flags = [*FLAGS, *options, "-I.", "-o", PROGRAM.stem]
    # example.c is not compiled, because it has its own `main`.
    command: list[str | Path] = [compiler, *flags, PROGRAM, "digits.c", "selftest.c"]
    execute(command, folder=folder, timeout=COMPILE_TIMEOUT)
    name = f"the C code, compiled with {compiler},"
    output = execute(
        [folder.absolute() / PROGRAM.stem],
        folder=folder,
        timeout=RUN_TIMEOUT + SUM_TIMEOUT * expected.sums.size,
        name=name,
        stdin=images.tobytes(),
    )
    record = result_type(expected.sums.shape[1])
    return compare(output, record, expected, name=name)


def execute(
    command: Sequence[str | Path],
    *,
    folder: Path,
    timeout: float,
    name: str = "",
    stdin: bytes = b"",
) -> bytes:
    """Run a program in a folder, and return its standard output.

    Args:
        command: The program and its arguments.
        folder: The working directory of the program.
        timeout: The time limit in seconds.
        name: The name of the program in error messages; by default, its file name.
        stdin: The standard input of the program.

    Raises:
        UserError: If the program fails, exceeds the time limit or cannot run. The
            message quotes its first error.
    """
    words = [str(word) for word in command]
    name = name or words[0]
    try:
        result = subprocess.run(
            words, cwd=folder, input=stdin, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name} did not finish within {timeout:g} s") from error
    except PermissionError as error:
        raise UserError(
            f"{name} cannot run in {folder}: set TMPDIR to a folder where programs "
            "can run, because this one is mounted with noexec"
        ) from error
    except OSError as error:
        raise UserError(f"{name} cannot be started: {error.strerror}") from error
    if result.returncode:
        output = (result.stderr + result.stdout).decode(errors="replace")
        lines = output.strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()]
        status = f"it ended with status {result.returncode}"
        message = [*errors, *lines[-1:], status][0]
        raise UserError(f"{name} failed: {printable(message)}")
    return result.stdout
