/* Input and output of a board in QEMU, with semihosting: QEMU reads and writes files in
 * its working directory. Source: Arm, Semihosting for AArch32 and AArch64;
 * RISC-V, Semihosting.
 */
#include "board.h"
#include "semihosting.h"

#define SYS_OPEN 0x01
#define SYS_WRITE 0x05
#define SYS_READ 0x06
#define SYS_EXIT 0x18
#define MODE_RB 1
#define MODE_WB 5
#define STOPPED_RUN_TIME_ERROR 0x20023
#define STOPPED_APPLICATION_EXIT 0x20026

static uintptr_t open_file(const char *name, uintptr_t mode)
{
    uintptr_t length = 0, file;
    while (name[length])
        length++;
    {
        const uintptr_t arguments[] = {(uintptr_t)name, mode, length};
        file = semihost(SYS_OPEN, (uintptr_t)arguments);
    }
    if (file == (uintptr_t)-1)
        board_fail();
    return file;
}

int board_read(void *bytes, uint16_t count)
{
    static uintptr_t file; /* 0: not opened yet; QEMU's handles start at 1 */
    uintptr_t arguments[3];
    if (!file)
        file = open_file("images.bin", MODE_RB);
    arguments[0] = file, arguments[1] = (uintptr_t)bytes, arguments[2] = count;
    return semihost(SYS_READ, (uintptr_t)arguments) == 0; /* bytes that were not read */
}

void board_write(const void *bytes, uint16_t count)
{
    static uintptr_t file;
    uintptr_t arguments[3];
    if (!file)
        file = open_file("results.bin", MODE_WB);
    arguments[0] = file, arguments[1] = (uintptr_t)bytes, arguments[2] = count;
    if (semihost(SYS_WRITE, (uintptr_t)arguments))
        board_fail();
}

void board_exit(void)
{
    semihost(SYS_EXIT, STOPPED_APPLICATION_EXIT);
}

/* This function is also called after a fault of the processor. */
void board_fail(void)
{
    for (;;)
        semihost(SYS_EXIT, STOPPED_RUN_TIME_ERROR);
}

/* Compilers generate calls to these functions, and no C library is linked. The barrier
 * prevents a compiler from replacing the loops with calls to the same functions. */
void *memset(void *to, int value, uintptr_t size)
{
    uint8_t *byte = to;
    while (size--) {
        *byte++ = (uint8_t)value;
        __asm__ volatile("");
    }
    return to;
}

void *memcpy(void *to, const void *from, uintptr_t size)
{
    uint8_t *byte = to;
    const uint8_t *source = from;
    while (size--) {
        *byte++ = *source++;
        __asm__ volatile("");
    }
    return to;
}
