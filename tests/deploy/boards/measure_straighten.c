/* Straightens images on a board, and measures the function.
 *
 * For each image, it writes the result, the ticks and the bytes of stack, 32 bits each.
 */
#include "board.h"

static uint8_t image[DIGITS_PIXELS];

/* Returns the ticks; stores how many bytes of the stack were used. */
static uint32_t __attribute__((noinline)) measure(uint32_t *depth)
{
    const volatile uint8_t *painted = board_paint_stack();
    uint32_t ticks = board_ticks();

    digits_straighten(image);
    ticks = (board_ticks() - ticks) & BOARD_TICKS_MASK;
    *depth = board_used_stack(painted);
    return ticks;
}

int main(void)
{
    uint32_t values[2]; /* ticks, stack */

    while (board_read(image, sizeof image)) {
        values[0] = measure(&values[1]);
        board_write(image, sizeof image);
        board_write(values, sizeof values);
    }
    return 0;
}
