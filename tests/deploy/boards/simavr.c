/* Runs a program for the ATmega328P: simavr program.elf images.bin results.bin
 * The program reads and writes through GPIOR0 to 2; see atmega328p.c.
 */
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <string.h>

/* Addresses in the data space. Source: the register summary of Microchip's manual. */
#define GPIOR0 0x3E
#define GPIOR1 0x4A
#define GPIOR2 0x4B

static FILE *images, *results;
static avr_cycle_count_t held;
static int ended;

static uint8_t read_data(avr_t *avr, avr_io_addr_t address, void *unused)
{
    (void)avr, (void)address, (void)unused;
    return (uint8_t)getc(images);
}

static void write_data(avr_t *avr, avr_io_addr_t address, uint8_t value, void *unused)
{
    (void)avr, (void)address, (void)unused;
    putc(value, results);
}

static uint8_t read_clock(avr_t *avr, avr_io_addr_t address, void *unused)
{
    uint8_t byte = (uint8_t)held;
    (void)avr, (void)address, (void)unused;
    held >>= 8;
    return byte;
}

static void hold_clock(avr_t *avr, avr_io_addr_t address, uint8_t value, void *unused)
{
    (void)address, (void)value, (void)unused;
    held = avr->cycle;
}

static uint8_t read_status(avr_t *avr, avr_io_addr_t address, void *unused)
{
    int next = getc(images);
    (void)avr, (void)address, (void)unused;
    ungetc(next, images);
    return next != EOF;
}

static void end(avr_t *avr, avr_io_addr_t address, uint8_t value, void *unused)
{
    (void)avr, (void)address, (void)value, (void)unused;
    ended = 1;
}

int main(int count, char **arguments)
{
    static elf_firmware_t firmware;
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    if (count != 4 || !avr || elf_read_firmware(arguments[1], &firmware))
        return 1;
    images = fopen(arguments[2], "rb");
    results = fopen(arguments[3], "wb");
    if (!images || !results)
        return 1;
    avr_init(avr);
    avr->frequency = 16000000;
    avr->run_cycle_limit = 100000; /* between checks of timers, which are not used */
    avr_load_firmware(avr, &firmware);
    avr_register_io_read(avr, GPIOR0, read_data, NULL);
    avr_register_io_write(avr, GPIOR0, write_data, NULL);
    avr_register_io_read(avr, GPIOR1, read_clock, NULL);
    avr_register_io_write(avr, GPIOR1, hold_clock, NULL);
    avr_register_io_read(avr, GPIOR2, read_status, NULL);
    avr_register_io_write(avr, GPIOR2, end, NULL);
    while (!ended) {
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed)
            return 1;
    }
    return fclose(results) != 0;
}
