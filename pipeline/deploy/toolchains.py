"""Compilers and emulators: which are installed, how to run them, and ELF files.

This module does not depend on digits.c; `host.py` and `emulators.py` use it.
"""

import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline import UserError
from pipeline.files import printable

# ELF: flags of sections that are loaded, and the type of those without contents.
SHF_WRITE, SHF_ALLOC, SHT_NOBITS = 1, 2, 8


@dataclass(frozen=True)
class Tool:
    """A program, or a header for a compiler, and its Debian package."""

    program: str
    package: str
    header: str = ""
    library: str = ""  # with the header; pkg-config knows its version

    @property
    def installed(self) -> bool:
        """Whether the program and the header can be used."""
        if not shutil.which(self.program):
            return False
        if not self.header:
            return True
        command = [self.program, "-E", "-include", self.header, "-x", "c", "/dev/null"]
        result = subprocess.run(command, capture_output=True, text=True)
        # A compiler with another problem is quoted when it compiles the C code.
        return not result.returncode or self.header not in result.stderr

    @cached_property
    def version(self) -> str:
        """The version of the library, or that the program prints, such as 14.2.1.

        It is "" for a library if pkg-config is not installed.
        """
        command = [self.program, "--version"]
        if self.library:
            command = ["pkg-config", "--modversion", self.library]
            if not shutil.which("pkg-config"):
                return ""
        text = subprocess.run(command, capture_output=True, text=True).stdout
        number = re.search(r"\d+\.\d+\.\d+", text)
        return number[0] if number else text.strip().split("\n")[0]


def missing(tools: Sequence[Tool]) -> str:
    """Say which packages of these tools are not installed; "" if all are."""
    packages = dict.fromkeys(tool.package for tool in tools if not tool.installed)
    if not packages:
        return ""
    return f"not installed: apt-get install {' '.join(packages)}"


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
        folder: Its working directory.
        timeout: The time limit in seconds.
        name: What error messages call the program; empty for its own name.
        stdin: Its standard input.

    Raises:
        UserError: If it fails, takes longer, or may not run; its first error is quoted.
    """
    words = [str(word) for word in command]
    name = name or words[0]
    try:
        result = subprocess.run(
            words, cwd=folder, input=stdin, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name} did not end within {timeout:g} s") from error
    except PermissionError as error:
        raise UserError(
            f"{name} may not run in {folder}: set TMPDIR to a folder where programs "
            "may run, because this one is mounted with noexec"
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


def memory(path: Path, *, constants_in_ram: bool) -> tuple[int, int]:
    """Return the bytes of flash and of RAM that a 32-bit ELF file takes.

    With `constants_in_ram`, those in .rodata take both, as on an AVR.
    """
    data = path.read_bytes()
    assert data[:5] == b"\x7fELF\x01", f"{path} is not a 32-bit ELF file"
    (table,) = struct.unpack_from("<I", data, 32)
    header, count, names = struct.unpack_from("<HHH", data, 46)
    headers = [
        struct.unpack_from("<IIIIII", data, table + number * header)
        for number in range(count)
    ]
    text = headers[names][4]  # where the names begin
    flash = ram = 0
    for name, kind, flags, _, _, size in headers:
        if flags & SHF_ALLOC:
            is_constant = data[text + name :].startswith(b".rodata")
            is_in_ram = flags & SHF_WRITE or (constants_in_ram and is_constant)
            flash += size if kind != SHT_NOBITS else 0
            ram += size if is_in_ram else 0
    return flash, ram
