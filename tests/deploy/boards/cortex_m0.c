/* QEMU's board "microbit": a Cortex-M0 with 256 KB of flash and 16 KB of RAM. */
#include "board.h"
#include "semihosting.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

extern uint32_t bss_start[], bss_end[], stack_top[];
int main(void);

EMPTY_FUNCTIONS("bx lr");

uintptr_t semihost(uintptr_t operation, uintptr_t arguments)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* SysTick has 24 bits and counts down. */
uint32_t board_ticks(void)
{
    return BOARD_TICKS_MASK - SYST_CVR;
}

static void reset(void)
{
    uint32_t *word;
    for (word = bss_start; word < bss_end; word++)
        *word = 0;
    SYST_RVR = BOARD_TICKS_MASK;
    SYST_CVR = 0;
    SYST_CSR = 5; /* enabled, with the clock of the processor, without interrupts */
    main();
    board_exit();
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    (uintptr_t)stack_top,
    (uintptr_t)reset,
    (uintptr_t)board_fail, /* NMI */
    (uintptr_t)board_fail, /* HardFault */
};
