/* What harness.c needs from a platform. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdint.h>

/* Reads the next bytes of the input. Returns 0 if it has ended, otherwise 1. */
int platform_read(void *bytes, uint16_t count);

void platform_write(const void *bytes, uint16_t count);

#endif
