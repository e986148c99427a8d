/* Straightens an image: shears it so that it has the mean slant of MNIST's digits.
 *
 * The slant is the distance by which the digit's center moves to the right from one row
 * to the next. It follows from the distances dx and dy of each pixel from the center of
 * mass:
 *
 *     slant = sum of gray * dx * dy / sum of gray * dy * dy
 *
 * pipeline/datasets/upright.py gives the same results, with the same constants.
 * For every image, all values fit into their types, and no dividend is negative.
 */
#include "digits.h"

#define SIDE 28              /* rows and columns */
#define ONE 1024L            /* a slant of 1, which is 45 degrees */
#define MEAN_SLANT (-113)    /* mean of MNIST's training images, which lean right */
#define PARTS 16             /* parts of a row, the unit of distances from the center */
#define FRACTIONS 256        /* steps per column in the interpolation */
#define MARGIN 32            /* columns; more than a row can move */
#define COLUMN (ONE * PARTS) /* a column, in the units in which rows move */

/* Moves a row. The first pixel gets the gray level at the position `start`, which is
 * measured from MARGIN columns to the left of the row, so that it is never negative.
 * Between two pixels, the gray level is interpolated; outside the row, it is 0. */
static void move_row(uint8_t row[SIDE], uint32_t start)
{
    const int16_t first = (int16_t)(start / COLUMN) - MARGIN;
    /* The weight of the right pixel, in units of 1 / FRACTIONS. */
    const uint32_t share = start % COLUMN / (COLUMN / FRACTIONS);
    uint8_t old[SIDE + 1] = {0};
    int16_t x;

    for (x = 0; x < SIDE; x++) {
        old[x] = row[x];
    }
    for (x = 0; x < SIDE; x++) {
        const int16_t from = (int16_t)(x + first);
        const uint32_t left = from >= 0 && from < SIDE ? old[from] : 0;
        const uint32_t right = from >= -1 && from < SIDE ? old[from + 1] : 0;
        const uint32_t sum = left * (FRACTIONS - share) + right * share;

        row[x] = (uint8_t)((sum + FRACTIONS / 2) / FRACTIONS);
    }
}

void digits_straighten(uint8_t image[DIGITS_PIXELS])
{
    uint32_t mass = 0;
    uint32_t sum_x = 0;
    uint32_t sum_y = 0;
    uint32_t sum_xy = 0;
    uint32_t sum_yy = 0;
    int64_t xy; /* the sums of the formula, multiplied by the mass */
    int64_t yy;
    int32_t shear;
    int32_t center; /* the center of mass, in parts of a row */
    uint16_t i;
    int16_t y;

    for (i = 0; i < DIGITS_PIXELS; i++) {
        const uint32_t column = i % SIDE;
        const uint32_t row = i / SIDE;
        const uint32_t gray_row = image[i] * row;

        mass += image[i];
        sum_x += image[i] * column;
        sum_y += gray_row;
        sum_xy += gray_row * column;
        sum_yy += gray_row * row;
    }
    xy = (int64_t)mass * sum_xy - (int64_t)sum_x * sum_y;
    yy = (int64_t)mass * sum_yy - (int64_t)sum_y * sum_y;
    if (yy == 0) {
        return; /* the image is blank, or its ink is in a single row */
    }
    if (xy > yy) {
        xy = yy; /* a slant of at most 45 degrees */
    } else if (xy < -yy) {
        xy = -yy;
    }
    shear = (int32_t)(ONE * (xy + yy) / yy - ONE - MEAN_SLANT);
    center = (int32_t)(PARTS * sum_y / mass);
    for (y = 0; y < SIDE; y++) {
        const int32_t distance = PARTS * y - center;

        move_row(&image[SIDE * y], (uint32_t)(MARGIN * COLUMN + shear * distance));
    }
}
