/* An ATmega328P in simavr.c, with three registers of general use as the port. */
#include "board.h"

#define DATA GPIOR0   /* read: a byte of the image; write: a byte of the results */
#define CLOCK GPIOR1  /* write: hold the cycle counter; read: its bytes, lowest first */
#define STATUS GPIOR2 /* read: 1 if there is another image; write: the end */

EMPTY_FUNCTIONS("ret");

int board_read(void *bytes, uint16_t size) {
  uint8_t *byte = (uint8_t *)bytes;
  if (!STATUS) {
    STATUS = 1;
    return 0;
  }
  while (size--) *byte++ = DATA;
  return 1;
}

void board_write(const void *bytes, uint16_t size) {
  const uint8_t *byte = (const uint8_t *)bytes;
  while (size--) DATA = *byte++;
}

uint32_t board_ticks(void) {
  uint32_t cycles;
  CLOCK = 0;
  cycles = CLOCK;
  cycles |= (uint32_t)CLOCK << 8;
  cycles |= (uint32_t)CLOCK << 16;
  cycles |= (uint32_t)CLOCK << 24;
  return cycles;
}
