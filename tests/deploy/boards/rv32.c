/* QEMU's board "virt" with a 32-bit RISC-V processor. */
#include "board.h"
#include "semihosting.h"

EMPTY_FUNCTIONS("ret");

__asm__(".section .text.start,\"ax\"\n"
        ".global _start\n"
        "_start: la sp, stack_top\n"
        "la t0, trap\n"
        "csrw mtvec, t0\n"
        "la t0, bss_start\n"
        "la t1, bss_end\n"
        "1: bgeu t0, t1, 2f\n"
        "sw zero, 0(t0)\n"
        "addi t0, t0, 4\n"
        "j 1b\n"
        "2: call main\n"
        "call board_exit\n"
        "trap: call board_fail\n"
        /* These three instructions must be in one page of memory, so they are near the
           start of the program. */
        ".global semihost\n"
        "semihost: slli zero, zero, 0x1f\n"
        "ebreak\n"
        "srai zero, zero, 7\n"
        "ret\n"
        ".text\n");

uint32_t board_ticks(void)
{
    uint32_t instructions;
    __asm__ volatile("csrr %0, minstret" : "=r"(instructions));
    return instructions;
}
