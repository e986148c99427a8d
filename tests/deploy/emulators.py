"""Test equipment: runs the generated C code on emulated microcontrollers.

QEMU emulates a Cortex-M0 and a 32-bit RISC-V processor, simavr an ATmega328P. The
programs in boards/ read images, return sums and logits, and measure the code.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.core import PIXELS, SIDE
from pipeline.deploy.checks import HEADER, Check, compare, result_type
from pipeline.deploy.compilers import (
    COMPILE_TIMEOUT,
    FLAGS,
    Tool,
    execute,
    missing,
)

BOARDS = Path(__file__).parent / "boards"
CALLS = PIXELS + 3  # calls to functions of digits.h for an image
# Seconds, and seconds for each image and hidden neuron. With 20 neurons, an image takes
# 0.1 ms in QEMU and 2 ms in simavr, on an idle core.
EMULATOR_TIMEOUT = 30.0, 0.0025
# Bytes of the rest of the program, including an image of 784 bytes and the stack.
PROGRAM_FLASH, PROGRAM_RAM = 2048, 1300
# ELF: flags of sections that are loaded, and the type of those without contents.
SHF_WRITE, SHF_ALLOC, SHT_NOBITS = 1, 2, 8

CLANG = Tool("clang", "clang")
LLD = Tool("ld.lld", "lld")
ARM_GCC = Tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
AVR_GCC = Tool("avr-gcc", "gcc-avr")
AVR_LIBC = Tool("avr-gcc", "avr-libc", header="avr/io.h")
SIMAVR = Tool("clang", "libsimavr-dev", header="simavr/sim_avr.h")
QEMU_ARM = Tool("qemu-system-arm", "qemu-system-arm")
QEMU_RISCV = Tool(
    "qemu-system-riscv32", "qemu-system-riscv (Debian 12: qemu-system-misc)"
)


@dataclass(frozen=True)
class Core:
    """A processor, the compiler of digits.c for it, and its emulator."""

    name: str
    compiler: Tool  # the compiler of digits.c
    flags: str  # the flags of the compiler
    board: str  # names the files in boards/
    emulator: str  # the command that runs program.elf
    tools: tuple[Tool, ...]  # other tools that are needed
    flash: int  # bytes
    ram: int  # bytes
    unit: str  # the unit of the counts: instructions or cycles
    per_tick: float  # units per tick of the board's clock
    per_return: int  # units of a return instruction


FREESTANDING = "-ffreestanding -fno-builtin"
M0_CLANG = f"--target=thumbv6m-none-eabi -mcpu=cortex-m0 {FREESTANDING}"
RV32_CLANG = f"--target=riscv32-none-elf -march=rv32im -mabi=ilp32 {FREESTANDING}"
CLANG_FLAGS = {"cortex_m0": M0_CLANG, "rv32": RV32_CLANG}  # for the files in boards/
# With -icount shift=0, an instruction takes 1 ns.
QEMU = (
    "-display none -monitor none -serial none -icount shift=0"
    " -semihosting-config enable=on,target=native"
)
SYSTICK = 1e9 / 16e6  # instructions per tick of the 16 MHz timer
CORTEX_M0 = Core(
    "Cortex-M0",
    CLANG,
    M0_CLANG,
    board="cortex_m0",
    emulator=f"qemu-system-arm -M microbit {QEMU} -device loader,file=program.elf",
    tools=(LLD, QEMU_ARM),
    flash=256 * 1024,
    ram=16 * 1024,
    unit="instructions",
    per_tick=SYSTICK,
    per_return=1,
)
CORTEX_M0_GCC = replace(
    CORTEX_M0,
    compiler=ARM_GCC,
    flags="-mcpu=cortex-m0 -mthumb -ffreestanding",
    tools=(CLANG, LLD, QEMU_ARM),
)
RV32 = Core(
    "RV32IM",
    CLANG,
    RV32_CLANG,
    board="rv32",
    emulator=f"qemu-system-riscv32 -M virt -cpu rv32 -bios none {QEMU}"
    " -kernel program.elf",
    tools=(LLD, QEMU_RISCV),
    flash=64 * 1024**2,
    ram=64 * 1024**2,
    unit="instructions",
    per_tick=1.0,
    per_return=1,
)
AVR = Core(
    "ATmega328P",
    AVR_GCC,
    "-mmcu=atmega328p",
    board="atmega328p",
    emulator="./simavr program.elf images.bin results.bin",
    tools=(AVR_LIBC, CLANG, SIMAVR),
    flash=32 * 1024,
    ram=2 * 1024,
    unit="cycles",
    per_tick=1.0,
    per_return=4,
)
CORES = (CORTEX_M0, CORTEX_M0_GCC, RV32, AVR)


@dataclass(frozen=True)
class Measurement(Check):
    """A comparison with the reference on an emulated core, and the measured values.

    The values flash (code and tables of digits.c), ram (digits_t and the logits) and
    stack (of one call) are in bytes. The value for an image is the number of
    instructions or, on an AVR, of cycles in the functions of digits.h. QEMU does not
    count cycles.
    """

    values: Mapping[str, int] = field(default_factory=dict)


def check_core(core, folder, network, images, expected, *, measured=None):
    """Compare the C code on an emulated core with the reference, and measure it.

    `folder` has the files of `write_source`; compiled files are added. `expected` is
    what the reference, `network`, computes for the images. The values are means over
    the first `measured` images, or over all images.
    """
    compiler = core.compiler
    if skipped := missing((compiler, *core.tools)):
        return Measurement(f"{core.name}, {compiler.program}", skipped=skipped)
    name = f"{core.name}, {compiler.program} {compiler.version}"
    state = 4 * network.hidden  # bytes
    if too_large := _too_large(core, flash=network.table_bytes, ram=state):
        return Measurement(name, skipped=too_large)  # the code may not even compile
    flash, ram = _compile(core, folder, "digits.c")
    selftest, _ = _compile(core, folder, "selftest.c")
    if too_large := _too_large(core, flash=flash + selftest, ram=ram + state):
        return Measurement(name, skipped=too_large)
    _link(core, folder)
    emulated = f"the emulated {core.name}"
    output = _run(core, folder, images, hidden=network.hidden, name=emulated)
    columns = [(column, "u4") for column in ("ticks", "stack", "ram")]
    record = np.dtype([*result_type(network.hidden).descr, *columns])
    difference = compare(output, record, expected, name=emulated)
    results = np.frombuffer(output, record, offset=HEADER)
    ticks = float(results["ticks"][:measured].mean())
    return Measurement(
        name,
        len(images),
        difference=difference,
        values={
            "flash": flash,
            "ram": ram + int(results["ram"].max()),
            "stack": int(results["stack"].max()),
            core.unit: round(ticks * core.per_tick + CALLS * core.per_return),
        },
    )


def flash_of(core, folder):
    """Return the bytes of flash that digits.c in a folder takes."""
    return _compile(core, folder, "digits.c")[0]


def straighten_on(core, folder, images, *, measured=None):
    """Run `digits_straighten` on an emulated core with gcc.

    `folder` has the files of `write_source` for a network trained on mnist_upright.
    Returns the images and the measured values: flash (with the functions of the
    compiler's library that it needs) and stack in bytes, and the mean instructions or
    cycles for one of the first `measured` images, or of all.
    """
    sizes = []
    libgcc = [core.compiler.program, *core.flags.split(), "-print-libgcc-file-name"]
    library = execute(libgcc, folder=folder, timeout=COMPILE_TIMEOUT).decode().strip()
    empty = "void digits_straighten(uint8_t image[784]) { (void)image; }\n"
    (folder / "empty.c").write_text('#include "digits.h"\n' + empty)
    for name in ("empty", "straighten"):
        _compile(core, folder, f"{name}.c")
        _link(core, folder, "measure_straighten.c", (f"{name}.o", library))
        sizes.append(memory(folder / "program.elf", constants_in_ram=core is AVR)[0])
    output = _run(core, folder, images, hidden=20, name=f"the emulated {core.name}")
    record = [("image", "u1", (SIDE, SIDE)), ("ticks", "<u4"), ("stack", "<u4")]
    results = np.frombuffer(output, record)
    return results["image"], {
        "flash": sizes[1] - sizes[0],
        "stack": int(results["stack"].max()),
        core.unit: round(float(results["ticks"][:measured].mean()) * core.per_tick),
    }


def _compile(core, folder, source):
    """Compile a file; return the bytes of flash and of static RAM that it takes."""
    compiler = core.compiler.program
    command = [compiler, *core.flags.split(), "-Os", *FLAGS, "-Werror", "-c", source]
    execute(command, folder=folder, timeout=COMPILE_TIMEOUT)
    path = (folder / source).with_suffix(".o")
    return memory(path, constants_in_ram=core is AVR)


def _too_large(core, *, flash, ram):
    """Say which memory is too small for the program; "" if it fits."""
    for name, needed, size in (
        ("flash", flash + PROGRAM_FLASH, core.flash),
        ("RAM", ram + PROGRAM_RAM, core.ram),
    ):
        if needed > size:
            board = f"the emulated board has {size:,}"
            return f"needs {needed:,} bytes of {name}, but {board}"
    return ""


def _link(core, folder, program="measure.c", objects=("digits.o", "selftest.o")):
    """Compile a program around object files, and link it into program.elf."""
    sources = [BOARDS / program, BOARDS / f"{core.board}.c"]
    options = ["-Os", "-I.", f"-I{BOARDS}"]

    def call(*command):
        execute(command, folder=folder, timeout=COMPILE_TIMEOUT)

    if core is AVR:
        # Arduino compiles a sketch as C++, and digits.c as C.
        inputs = ["-x", "c++", *sources, "-x", "none", *objects]
        flags = core.flags.split()
        call(core.compiler.program, *flags, *options, *inputs, "-o", "program.elf")
        call("clang", "-O2", BOARDS / "simavr.c", "-lsimavr", "-o", "simavr")
    else:
        sources.append(BOARDS / "semihosting.c")
        compiled = [f"{source.stem}.o" for source in sources]
        script = BOARDS / f"{core.board}.ld"
        flags = CLANG_FLAGS[core.board].split()
        call("clang", *flags, *options, "-std=gnu99", "-c", *sources)
        call("ld.lld", "-T", script, *compiled, *objects, "-o", "program.elf")


def _run(core, folder, images, *, hidden, name):
    """Run program.elf on images; return what it wrote, a record for each image."""
    (folder / "images.bin").write_bytes(images.tobytes())
    results = folder / "results.bin"
    results.write_bytes(b"")  # removes the results of another core
    start, each = EMULATOR_TIMEOUT
    timeout = start + each * len(images) * hidden
    execute(core.emulator.split(), folder=folder, timeout=timeout, name=name)
    return results.read_bytes()


def memory(path, *, constants_in_ram):
    """Return the bytes of flash and of RAM that a 32-bit ELF file takes.

    With `constants_in_ram`, the constants in .rodata take flash and RAM, as on an AVR.
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
