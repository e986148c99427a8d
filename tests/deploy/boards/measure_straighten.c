/* Straightens images on a board, and measures the function.
 *
 * For each image, it writes the result, the ticks and the bytes of stack, 32 bits each.
 */
#include "board.h"

#define PAINTED 256 /* bytes of stack that are checked */
#define PAINT 0xA5

#ifdef __cplusplus
extern "C" {
#endif
void straighten(uint8_t image[DIGITS_PIXELS]);
#ifdef __cplusplus
}
#endif

static uint8_t image[DIGITS_PIXELS];

/* Returns the ticks; stores how many bytes of the stack were used. */
static uint32_t __attribute__((noinline)) measure(uint32_t *depth)
{
    uintptr_t end;
    volatile uint8_t *painted;
    uint32_t ticks;
    uint16_t i;

    BOARD_STACK(end);
    painted = (volatile uint8_t *)(end - PAINTED);
    for (i = 0; i < PAINTED; i++) {
        painted[i] = PAINT;
    }
    ticks = board_ticks();
    straighten(image);
    ticks = (board_ticks() - ticks) & BOARD_TICKS_MASK;
    for (i = 0; i < PAINTED; i++) {
        if (painted[i] != PAINT) {
            break;
        }
    }
    *depth = (uint32_t)PAINTED - i;
    return ticks;
}

int main(void)
{
    uint32_t figures[2]; /* ticks, stack */

    while (board_read(image, sizeof image)) {
        figures[0] = measure(&figures[1]);
        board_write(image, sizeof image);
        board_write(figures, sizeof figures);
    }
    return 0;
}
