"""Runs the generated C code on emulated microcontrollers, and measures it.

QEMU emulates a Cortex-M0 and a 32-bit RISC-V processor, simavr an ATmega328P. The
programs in `boards/` read images and return sums and logits.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from pipeline import CLASSES, PIXELS, UserError
from pipeline.deploy.checks import Check, Outputs
from pipeline.deploy.cores import AVR, CLANG_FLAGS, CORES, QEMU_COMMANDS, Core
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.toolchains import execute, loaded_sections, missing

BOARDS = Path(__file__).parent / "boards"
HEADER = 4  # the integers that harness.c writes before the sums
COMPILE_TIMEOUT = 120  # seconds
# An image takes 0.1 ms in QEMU and 2 ms in simavr, on an idle core.
EMULATOR_TIMEOUT = 30, 0.05  # seconds, and seconds for each image
# Bytes of the program around digits.c, an image of 784 bytes and the stack included.
HARNESS_FLASH, HARNESS_RAM = 2048, 1300
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


def check_on_emulators(
    folder: Path,
    network: IntegerNetwork,
    images: UInt8[np.ndarray, "n 28 28"],
    *,
    measured: int | None = None,
    cores: Sequence[Core] = CORES,
) -> list[Check]:
    """Compare the C code on emulated cores with the reference.

    Args:
        folder: Contains digits.c and digits.h.
        network: The reference.
        images: Their sums, logits and answers are compared.
        measured: The figures are means over this many of the first images; None stands
            for all.
        cores: Where the code runs.

    Returns:
        A check for each core. Its figures are, in bytes: flash (code and tables of
        digits.c), ram (digits_t and the logits) and stack (of one call); and, for an
        image, the instructions, or the cycles on AVR, inside the functions of digits.h.
        An emulator's instructions are not cycles.

    Raises:
        UserError: If the code does not compile, or an emulator crashes or hangs.
    """
    count = len(images) if measured is None else measured
    return [_check(core, folder, network, images, count) for core in cores]


def _check(
    core: Core,
    folder: Path,
    network: IntegerNetwork,
    images: UInt8[np.ndarray, "n 28 28"],
    measured: int,
) -> Check:
    tools = (core.compiler, *core.tools)
    skipped = missing(tools)
    if skipped:
        return Check(f"{core.name}, {core.compiler.program}", skipped=skipped)
    name = f"{core.name}, {core.compiler.program} {core.compiler.version}"
    platform = f"{core.name}/{core.compiler.program}"
    versions = {tool.program: tool.version for tool in tools}
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        build = Path(temporary)
        for file in ("digits.c", "digits.h"):
            shutil.copy(folder / file, build)
        flash, ram = _compile(core, build)
        too_large = _too_large(core, network, flash=flash, ram=ram)
        if too_large:
            return Check(
                name, skipped=too_large, platform=platform, figures={"flash": flash}
            )
        _link(core, build)
        records = _run(core, build, network.hidden, images)
    header, sums, logits = np.split(records, [HEADER, HEADER + network.hidden], axis=1)
    ticks, stack, state, answers = header.T
    expected = Outputs.of(network, images)
    difference = Outputs(sums, logits).first_difference(expected)
    wrong = np.flatnonzero(answers != expected.logits.argmax(axis=1))
    if not difference and len(wrong):
        difference = f"image {wrong[0]}: the answer is {answers[wrong[0]]}"
    calls = PIXELS + 3  # of functions of digits.h for an image
    mean = ticks[:measured].mean() * core.per_tick + calls * core.per_return
    figures = {
        "flash": flash,
        "ram": ram + int(state.max()),
        "stack": int(stack.max()),
        core.unit: round(float(mean)),
    }
    return Check(
        name,
        len(images),
        difference=difference,
        platform=platform,
        figures=figures,
        tools=versions,
    )


def _compile(core: Core, build: Path) -> tuple[int, int]:
    """Compile digits.c; return the bytes of flash and of static RAM that it takes."""
    compiler = core.compiler.program
    command = [compiler, *core.flags.split(), "-Os", *STRICT, "-c", "digits.c"]
    execute(command, folder=build, timeout=COMPILE_TIMEOUT)
    flash = ram = 0
    for section in loaded_sections(build / "digits.o"):
        flash += section.size if section.contents else 0
        # AVR reads constants from RAM unless they are in a section of their own.
        copied = core is AVR and section.name.startswith(".rodata")
        ram += section.size if section.writable or copied else 0
    return flash, ram


def _too_large(core: Core, network: IntegerNetwork, *, flash: int, ram: int) -> str:
    """Say whether the core lacks memory for digits.c and the program around it."""
    needs = {
        "flash": (flash + HARNESS_FLASH, core.flash),
        "RAM": (ram + 4 * network.hidden + HARNESS_RAM, core.ram),
    }
    for name, (needed, size) in needs.items():
        if needed > size:
            text = f"{name} of the emulated board: needs {needed:,} bytes, has {size:,}"
            return f"does not fit in the {text}"
    return ""


def _link(core: Core, build: Path) -> None:
    """Compile the program around digits.o, and link both into program.elf."""
    sources = [BOARDS / "harness.c", BOARDS / f"{core.board}.c"]
    options = ["-Os", f"-I{build}", f"-I{BOARDS}"]

    def call(*command: str | Path) -> None:
        execute(command, folder=build, timeout=COMPILE_TIMEOUT)

    if core is AVR:
        # Arduino compiles a sketch as C++, and digits.c as C.
        inputs: list[str | Path] = ["-x", "c++", *sources, "-x", "none", "digits.o"]
        flags = core.flags.split()
        call(core.compiler.program, *flags, *options, *inputs, "-o", "program.elf")
        call("clang", "-O2", BOARDS / "simavr.c", "-lsimavr", "-o", "simavr")
    else:
        sources.append(BOARDS / "semihosting.c")
        objects = [f"{source.stem}.o" for source in sources]
        script = BOARDS / f"{core.board}.ld"
        flags = CLANG_FLAGS[core.board].split()
        call("clang", *flags, *options, "-std=gnu99", "-c", *sources)
        call("ld.lld", "-T", script, *objects, "digits.o", "-o", "program.elf")


def _run(
    core: Core, build: Path, hidden: int, images: UInt8[np.ndarray, "n 28 28"]
) -> Int32[np.ndarray, "n columns"]:
    """Run program.elf; return what harness.c wrote for each image."""
    (build / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())
    command = QEMU_COMMANDS.get(
        core.board, "./simavr program.elf images.bin results.bin"
    )
    start, each = EMULATOR_TIMEOUT
    try:
        execute(command.split(), folder=build, timeout=start + each * len(images))
    except UserError as error:
        raise UserError(f"the emulated {core.name} failed: {error}") from error
    results = np.fromfile(build / "results.bin", "<i4")
    columns = HEADER + hidden + CLASSES
    if len(results) != len(images) * columns:
        done = f"{len(results) // columns:,} of {len(images):,} images"
        raise UserError(f"the emulated {core.name} ended after {done}")
    return results.reshape(-1, columns)
