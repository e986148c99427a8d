/* A computer with a C library: standard input and output. */
#include <stdio.h>

#include "platform.h"

int platform_read(void *bytes, uint16_t count)
{
    return fread(bytes, 1, count, stdin) == count;
}

void platform_write(const void *bytes, uint16_t count)
{
    fwrite(bytes, 1, count, stdout);
}
