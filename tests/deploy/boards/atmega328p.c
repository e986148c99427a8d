/* An ATmega328P in simavr.c, with its general-purpose I/O registers as ports. */
#include "board.h"

#define DATA GPIOR0   /* read: a byte of the image; write: a byte of the results */
#define CLOCK GPIOR1  /* write: latch the cycles; read: their next byte, lowest first */
#define STATUS GPIOR2 /* read: 1 if there is another image; write: end */

EMPTY_FUNCTIONS("ret");

int board_read(void *bytes, uint16_t count)
{
    uint8_t *byte = (uint8_t *)bytes;
    if (!STATUS) {
        STATUS = 1;
        return 0;
    }
    while (count--)
        *byte++ = DATA;
    return 1;
}

void board_write(const void *bytes, uint16_t count)
{
    const uint8_t *byte = (const uint8_t *)bytes;
    while (count--)
        DATA = *byte++;
}

uint32_t board_ticks(void)
{
    uint32_t cycles;
    CLOCK = 0;
    cycles = CLOCK;
    cycles |= (uint32_t)CLOCK << 8;
    cycles |= (uint32_t)CLOCK << 16;
    cycles |= (uint32_t)CLOCK << 24;
    return cycles;
}
