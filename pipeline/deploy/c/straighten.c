#include <stdint.h>
/* Shears an image of 28x28 gray levels so that its slant is the mean slant of MNIST. */
void straighten(uint8_t image[784])
{
    uint32_t mass = 0, sum_x = 0, sum_y = 0, sum_xy = 0, sum_yy = 0;
    for (uint16_t i = 0; i < 784; i++) {
        const uint32_t y = i / 28u, x = i % 28u, level_y = image[i] * y;
        mass += image[i];
        sum_x += image[i] * x;
        sum_y += level_y;
        sum_xy += level_y * x;
        sum_yy += level_y * y;
    }
    int64_t xy = (int64_t)mass * sum_xy - (int64_t)sum_x * sum_y;
    const int64_t yy = (int64_t)mass * sum_yy - (int64_t)sum_y * sum_y;
    if (yy == 0) return; /* blank, or a single row */
    xy = xy > yy ? yy : xy < -yy ? -yy : xy; /* at most 45 degrees */
    /* 113 / 1024: MNIST's mean slant */
    const int32_t shear = (int32_t)(1024 * (xy + yy) / yy) - 1024 + 113;
    const int32_t center = (int32_t)(16 * sum_y / mass);
    for (int16_t y = 0; y < 28; y++) {
        /* Where the row begins, in 1/16384 of a column; 32 columns keep it positive. */
        const int32_t start = 32 * 16384L + shear * (16 * y - center);
        const int16_t shift = (int16_t)(start / 16384 - 32);
        const uint32_t right = (uint32_t)(start % 16384 / 64); /* share of the right pixel, of 256 */
        uint8_t row[28 + 1] = {0};
        for (int16_t x = 0; x < 28; x++) row[x] = image[28 * y + x];
        for (int16_t x = 0; x < 28; x++) {
            const int16_t from = (int16_t)(x + shift);
            const uint32_t a = from >= 0 && from < 28 ? row[from] : 0;
            const uint32_t b = from >= -1 && from < 28 ? row[from + 1] : 0;
            image[28 * y + x] = (uint8_t)((a * (256 - right) + b * right + 128) / 256);
        }
    }
}
