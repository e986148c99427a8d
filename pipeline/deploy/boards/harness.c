/* Classifies images on a board. For each one it writes the ticks, the bytes of stack and
   of other RAM, the answer, the sums of layer 1 and the logits, in 32-bit integers.

   The ticks are those inside the four functions of digits.h: the loop that calls them is
   measured with empty functions and subtracted. On AVR this file is compiled as C++, as
   Arduino does with a sketch. */
#include "board.h"

#define PAINTED 256 /* bytes of stack that are checked */
#define PAINT 0xA5u

struct functions {
  void (*begin)(digits_t *);
  void (*pixel)(digits_t *, uint8_t);
  void (*logits)(const digits_t *, int32_t *);
  uint8_t (*argmax)(const int32_t *);
};

static uint8_t image[DIGITS_PIXELS];
static digits_t digits;
static int32_t logits[DIGITS_CLASSES];
static uint32_t result[4]; /* ticks, stack, RAM, answer */

static uint32_t __attribute__((noinline)) classify(const struct functions *call) {
  volatile uint8_t *painted;
  uintptr_t stack_end;
  uint32_t start, ticks;
  uint16_t i;

  BOARD_STACK(stack_end);
  painted = (volatile uint8_t *)(stack_end - PAINTED);
  for (i = 0; i < PAINTED; i++) painted[i] = PAINT;

  start = board_ticks();
  call->begin(&digits);
  for (i = 0; i < DIGITS_PIXELS; i++) call->pixel(&digits, image[i]);
  call->logits(&digits, logits);
  result[3] = call->argmax(logits);
  ticks = (board_ticks() - start) & BOARD_TICKS_MASK;

  for (i = 0; i < PAINTED && painted[i] == PAINT; i++) {
  }
  result[1] = (uint32_t)(PAINTED - i);
  return ticks;
}

int main(void) {
  const struct functions real = {digits_begin, digits_pixel, digits_logits,
                                 digits_argmax};
  const struct functions empty = {empty_begin, empty_pixel, empty_logits, empty_argmax};

  while (board_read(image, sizeof image)) {
    uint32_t loop = classify(&empty);
    result[0] = classify(&real) - loop;
    result[2] = (uint32_t)(sizeof digits + sizeof logits);
    digits_pixel(&digits, 255); /* one more pixel, which must be ignored */
    board_write(result, sizeof result);
    board_write(digits.sum, sizeof digits.sum);
    board_write(logits, sizeof logits);
  }
  return 0;
}
