/* The interface of a board: input, output, a clock, empty functions, and how much of the
 * stack a call uses. */
#ifndef BOARD_H
#define BOARD_H

#include "digits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the next bytes of the input. Returns 0 at its end, otherwise 1. */
int board_read(void *bytes, uint16_t count);

/* Writes bytes to the results. */
void board_write(const void *bytes, uint16_t count);

/* Returns the ticks of a clock that counts up, modulo BOARD_TICKS_MASK + 1. */
uint32_t board_ticks(void);

/* Functions that consist of one return instruction. A board defines them with
 * EMPTY_FUNCTIONS. */
void empty_begin(digits_t *digits);
void empty_pixel(digits_t *digits, uint8_t gray);
void empty_logits(const digits_t *digits, int32_t logits[DIGITS_CLASSES]);
uint8_t empty_argmax(const int32_t logits[DIGITS_CLASSES]);

#define EMPTY_FUNCTIONS(return_instruction)                                            \
    __asm__(                                                                           \
        ".section .text.empty,\"ax\"\n"                                                \
        ".global empty_begin, empty_pixel, empty_logits, empty_argmax\n"               \
        ".type empty_begin, %function\n"                                               \
        ".type empty_pixel, %function\n"                                               \
        ".type empty_logits, %function\n"                                              \
        ".type empty_argmax, %function\n"                                              \
        "empty_begin: empty_pixel: empty_logits: empty_argmax: " return_instruction    \
        "\n.text\n")

/* Sets `end` to the lowest stack address in use. */
#if defined(__AVR__)
#include <avr/io.h>
#define BOARD_STACK(end) ((end) = (uintptr_t)SP + 1)
#define BOARD_TICKS_MASK 0xFFFFFFFFu
#elif defined(__arm__)
#define BOARD_STACK(end) __asm__ volatile("mov %0, sp" : "=r"(end))
#define BOARD_TICKS_MASK 0xFFFFFFu
#else
#define BOARD_STACK(end) __asm__ volatile("mv %0, sp" : "=r"(end))
#define BOARD_TICKS_MASK 0xFFFFFFFFu
#endif

#define BOARD_PAINTED 256 /* bytes of stack that are checked */
#define BOARD_PAINT 0xA5

/* Paints the free stack below the caller, into which it is inlined, and returns where
 * the paint begins. */
static inline __attribute__((always_inline)) volatile uint8_t *board_paint_stack(void)
{
    uintptr_t end;
    volatile uint8_t *painted;
    uint16_t i;

    BOARD_STACK(end);
    painted = (volatile uint8_t *)(end - BOARD_PAINTED);
    for (i = 0; i < BOARD_PAINTED; i++) {
        painted[i] = BOARD_PAINT;
    }
    return painted;
}

/* Returns how many bytes of the painted stack were used since. */
static inline uint32_t board_used_stack(const volatile uint8_t *painted)
{
    uint16_t i;

    for (i = 0; i < BOARD_PAINTED; i++) {
        if (painted[i] != BOARD_PAINT) {
            break;
        }
    }
    return (uint32_t)BOARD_PAINTED - i;
}

#ifdef __cplusplus
}
#endif
#endif
