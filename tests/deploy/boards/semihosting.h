/* Functions of a board in QEMU; only semihost depends on its processor. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

uintptr_t semihost(uintptr_t operation, uintptr_t arguments); /* cortex_m0.c, rv32.c */
void board_exit(void);
void board_fail(void);
void *memset(void *to, int value, uintptr_t size);
void *memcpy(void *to, const void *from, uintptr_t size);

#endif
