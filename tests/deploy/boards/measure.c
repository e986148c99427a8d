/* Classifies images on a board, and measures the functions of digits.h.
 *
 * Reads images and writes results like host.c of the package. After the class of each image, it
 * writes the ticks, the bytes of stack and the bytes of other memory, 32 bits each.
 *
 * The ticks are those inside the functions: the loop that calls them is measured once
 * with empty functions, because it takes the same ticks for each image, and these ticks
 * are subtracted. On AVR, this file is compiled as C++, as Arduino does with a sketch.
 */
#include "board.h"
#include "selftest.h"

struct functions {
    void (*begin)(digits_t *d);
    void (*pixel)(digits_t *d, uint8_t gray);
    void (*logits)(const digits_t *d, int32_t *logits);
    uint8_t (*argmax)(const int32_t *logits);
};

static uint8_t image[DIGITS_PIXELS];
static digits_t d;
static int32_t logits[DIGITS_CLASSES];
static uint8_t prediction;

/* Returns the ticks; stores how many bytes of the stack were used. */
static uint32_t __attribute__((noinline)) classify(const struct functions *call,
                                                   uint32_t *depth)
{
    const volatile uint8_t *painted = board_paint_stack();
    uint32_t ticks = board_ticks();
    uint16_t i;

    call->begin(&d);
    for (i = 0; i < DIGITS_PIXELS; i++) {
        call->pixel(&d, image[i]);
    }
    call->logits(&d, logits);
    prediction = call->argmax(logits);
    ticks = (board_ticks() - ticks) & BOARD_TICKS_MASK;
    *depth = board_used_stack(painted);
    return ticks;
}

int main(void)
{
    const struct functions real = {digits_begin, digits_pixel, digits_logits,
                                   digits_argmax};
    const struct functions empty = {empty_begin, empty_pixel, empty_logits,
                                    empty_argmax};
    uint32_t values[3]; /* ticks, stack, other memory */
    const uint32_t loop = classify(&empty, &values[1]);
    uint8_t result = digits_selftest(&d);

    board_write(&result, sizeof result);
    result = digits_argmax(logits); /* all are 0 */
    board_write(&result, sizeof result);
    values[2] = sizeof d + sizeof logits;
    while (board_read(image, sizeof image)) {
        values[0] = classify(&real, &values[1]) - loop;
        digits_pixel(&d, 255); /* one too many, which must not change the sums */
        board_write(d.sum, sizeof d.sum);
        board_write(logits, sizeof logits);
        board_write(&prediction, sizeof prediction);
        board_write(values, sizeof values);
    }
    return 0;
}
