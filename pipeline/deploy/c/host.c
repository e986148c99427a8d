/* Classifies images on a computer with a C library, for comparison with the reference.
 *
 * Reads images of 784 bytes from standard input until its end. First writes two bytes:
 * the result of the self-test, and the class for equal logits. Then, for each image,
 * writes the sums of layer 1 and the logits, 32 bits each in the byte order of this
 * machine, and the class, 8 bits.
 */
#include <stdio.h>

#include "digits.h"
#include "selftest.h"

int main(void)
{
    static digits_t d;
    static int32_t logits[DIGITS_CLASSES];
    static uint8_t image[DIGITS_PIXELS];

    putchar(digits_selftest(&d));
    putchar(digits_argmax(logits)); /* all logits are 0 */
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        int i;

        digits_begin(&d);
        for (i = 0; i < DIGITS_PIXELS; i++) {
            digits_pixel(&d, image[i]);
        }
        digits_logits(&d, logits);
        digits_pixel(&d, 255); /* one pixel too many, which must not change the sums */
        fwrite(d.sum, sizeof d.sum, 1, stdout);
        fwrite(logits, sizeof logits, 1, stdout);
        putchar(digits_argmax(logits));
    }
    return 0;
}
