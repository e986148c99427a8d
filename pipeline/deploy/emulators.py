"""Runs the generated C code on emulated microcontrollers, and measures it.

QEMU emulates a Cortex-M0 and a 32-bit RISC-V processor, simavr an ATmega328P. The
programs in `boards/` read images and return sums and logits.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.core import PIXELS
from pipeline.deploy.checks import HEADER, Check, Outputs, compare, result_type
from pipeline.deploy.cores import AVR, CLANG_FLAGS, Core
from pipeline.deploy.host import COMPILE_TIMEOUT, STRICT
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.toolchains import execute, memory, missing

BOARDS = Path(__file__).parent / "boards"
OBJECTS = ("digits.o", "selftest.o")
CALLS = PIXELS + 3  # calls of functions of digits.h for an image
# Seconds, and seconds for each image and hidden neuron. With 20 neurons, an image takes
# 0.1 ms in QEMU and 2 ms in simavr, on an idle core.
EMULATOR_TIMEOUT = 30.0, 0.0025
# Bytes of the rest of the program, including an image of 784 bytes and the stack.
PROGRAM_FLASH, PROGRAM_RAM = 2048, 1300


def check_core(
    core: Core,
    folder: Path,
    network: IntegerNetwork,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
    *,
    measured: int | None = None,
) -> Check:
    """Compare the C code on an emulated core with the reference.

    Args:
        core: The processor, its compiler and its emulator.
        folder: The files of `c_source.write_source`; compiled files are added.
        network: The reference.
        images: The input.
        expected: What the reference computes for the images.
        measured: How many images, from the first, the figures average; None for all.

    Returns:
        Its figures are, in bytes: flash (code and tables of digits.c), ram (digits_t
        and the logits) and stack (of one call); and for an image, the instructions, or
        the cycles on AVR, in the functions of digits.h. QEMU does not count cycles.

    Raises:
        UserError: If the code does not compile, or the emulator crashes or hangs.
    """
    compiler = core.compiler
    tools = (compiler, *core.tools)
    if skipped := missing(tools):
        return Check(f"{core.name}, {compiler.program}", skipped=skipped)
    name = f"{core.name}, {compiler.program} {compiler.version}"
    state = 4 * network.hidden  # bytes
    if too_large := _too_large(core, flash=network.table_bytes, ram=state):
        return Check(name, skipped=too_large)  # it may not even compile
    flash, ram = _compile(core, folder, "digits.c")
    selftest, _ = _compile(core, folder, "selftest.c")
    if too_large := _too_large(core, flash=flash + selftest, ram=ram + state):
        return Check(name, skipped=too_large)
    _link(core, folder)
    emulated = f"the emulated {core.name}"
    output = _run(core, folder, images, hidden=network.hidden, name=emulated)
    record = result_type(network.hidden, "ticks", "stack", "ram")
    difference = compare(output, record, expected, name=emulated)
    results = np.frombuffer(output, record, offset=HEADER)
    ticks = float(results["ticks"][:measured].mean())
    versions = {t.library or t.program: t.version for t in tools if t.version}
    return Check(
        name,
        len(images),
        difference=difference,
        platform=f"{core.name}/{compiler.program}",
        figures={
            "flash": flash,
            "ram": ram + int(results["ram"].max()),
            "stack": int(results["stack"].max()),
            core.unit: round(ticks * core.per_tick + CALLS * core.per_return),
        },
        tools=versions,
    )


def _compile(core: Core, folder: Path, source: str) -> tuple[int, int]:
    """Compile a file; return the bytes of flash and of static RAM that it takes."""
    compiler = core.compiler.program
    command = [compiler, *core.flags.split(), "-Os", *STRICT, "-c", source]
    execute(command, folder=folder, timeout=COMPILE_TIMEOUT)
    path = (folder / source).with_suffix(".o")
    return memory(path, constants_in_ram=core is AVR)


def _too_large(core: Core, *, flash: int, ram: int) -> str:
    """Say which memory is too small for the program; "" if it fits."""
    for name, needed, size in (
        ("flash", flash + PROGRAM_FLASH, core.flash),
        ("RAM", ram + PROGRAM_RAM, core.ram),
    ):
        if needed > size:
            board = f"the emulated board has {size:,}"
            return f"needs {needed:,} bytes of {name}, but {board}"
    return ""


def _link(core: Core, folder: Path) -> None:
    """Compile the program around digits.o, and link it into program.elf."""
    sources = [BOARDS / "measure.c", BOARDS / f"{core.board}.c"]
    options = ["-Os", "-I.", f"-I{BOARDS}"]

    def call(*command: str | Path) -> None:
        execute(command, folder=folder, timeout=COMPILE_TIMEOUT)

    if core is AVR:
        # Arduino compiles a sketch as C++, and digits.c as C.
        inputs: list[str | Path] = ["-x", "c++", *sources, "-x", "none", *OBJECTS]
        flags = core.flags.split()
        call(core.compiler.program, *flags, *options, *inputs, "-o", "program.elf")
        call("clang", "-O2", BOARDS / "simavr.c", "-lsimavr", "-o", "simavr")
    else:
        sources.append(BOARDS / "semihosting.c")
        objects = [f"{source.stem}.o" for source in sources]
        script = BOARDS / f"{core.board}.ld"
        flags = CLANG_FLAGS[core.board].split()
        call("clang", *flags, *options, "-std=gnu99", "-c", *sources)
        call("ld.lld", "-T", script, *objects, *OBJECTS, "-o", "program.elf")


def _run(
    core: Core,
    folder: Path,
    images: UInt8[np.ndarray, "n 28 28"],
    *,
    hidden: int,
    name: str,
) -> bytes:
    """Run program.elf on images; return what it wrote, a record for each image."""
    (folder / "images.bin").write_bytes(images.tobytes())
    results = folder / "results.bin"
    results.write_bytes(b"")  # not those of another core
    start, each = EMULATOR_TIMEOUT
    timeout = start + each * len(images) * hidden
    execute(core.emulator.split(), folder=folder, timeout=timeout, name=name)
    return results.read_bytes()
