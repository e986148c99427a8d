"""The emulated microcontrollers: their compilers, memories, clocks and emulators."""

from dataclasses import dataclass, replace

from pipeline.deploy.toolchains import Tool

CLANG = Tool("clang", "clang")
LLD = Tool("ld.lld", "lld")
ARM_GCC = Tool("arm-none-eabi-gcc", "gcc-arm-none-eabi")
AVR_GCC = Tool("avr-gcc", "gcc-avr")
AVR_LIBC = Tool("avr-gcc", "avr-libc", header="avr/io.h")
SIMAVR = Tool("clang", "libsimavr-dev", header="simavr/sim_avr.h", library="simavr")
QEMU_ARM = Tool("qemu-system-arm", "qemu-system-arm")
QEMU_RISCV = Tool(
    "qemu-system-riscv32", "qemu-system-riscv (Debian 12: qemu-system-misc)"
)


@dataclass(frozen=True)
class Core:
    """A processor, the compiler of digits.c for it, and its emulator."""

    name: str
    compiler: Tool  # of digits.c
    flags: str  # of this compiler
    board: str  # names the files in boards/
    emulator: str  # the command that runs program.elf
    tools: tuple[Tool, ...]  # needed in addition
    flash: int  # bytes
    ram: int  # bytes
    unit: str  # of the figures: instructions or cycles
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
