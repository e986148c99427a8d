/* Computes images for a comparison with the reference, on any platform.
 *
 * Reads images of 784 bytes until the input ends. Writes numbers as this machine stores
 * them. First two bytes: the result of the self-test, and the answer for equal logits.
 * Then for each image: the sums of layer 1 and the logits, 32 bits each, and the
 * answer, 8 bits.
 */
#include "platform.h"

#include "digits.h"
#include "selftest.h"

int main(void)
{
    static digits_t d;
    static int32_t logits[DIGITS_CLASSES];
    static uint8_t image[DIGITS_PIXELS];
    uint8_t result;

    result = digits_selftest(&d);
    platform_write(&result, sizeof result);
    result = digits_argmax(logits);
    platform_write(&result, sizeof result);
    while (platform_read(image, sizeof image)) {
        uint16_t i;

        digits_begin(&d);
        for (i = 0; i < DIGITS_PIXELS; i++) {
            digits_pixel(&d, image[i]);
        }
        digits_logits(&d, logits);
        result = digits_argmax(logits);
        digits_pixel(&d, 255); /* one too many, which must not change the sums */
        platform_write(d.sum, sizeof d.sum);
        platform_write(logits, sizeof logits);
        platform_write(&result, sizeof result);
    }
    return 0;
}
