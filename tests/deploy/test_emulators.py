"""The C code on emulated microcontrollers: equal to the reference, and measured."""

from dataclasses import replace

import emulators
import numpy as np
import pytest
from emulators import AVR, CORES, CORTEX_M0, RV32, check_core

from pipeline import UserError
from pipeline.deploy.c_source import write_source
from pipeline.deploy.checks import Outputs
from pipeline.deploy.compilers import missing
from pipeline.integers import BIT_WIDTHS

# Limits of the project for a Cortex-M0, by bit width: bytes of flash, and instructions
# for an image.
LIMITS = {
    8: (16_400, 56_000),
    4: (8_500, 90_000),
    2: (4_600, 90_000),
    1: (2_600, 90_000),
}
ILLEGAL = {CORTEX_M0: "udf #0", RV32: "unimp"}  # an instruction


def check(core, model, folder, images, **options):
    """Return the check of a core; skip the test if its tools are not installed."""
    if problem := missing([core.compiler, *core.tools]):
        pytest.skip(f"{core.name}: {problem}")
    expected = Outputs.of(model.integers, images)
    return check_core(core, folder, model.integers, images, expected, **options)


@pytest.mark.fault
@pytest.mark.parametrize("bits", BIT_WIDTHS)
@pytest.mark.parametrize("core", CORES, ids=lambda c: f"{c.name}-{c.compiler.program}")
def test_each_core_computes_the_integers_of_all_test_images(
    core, bits, quantized, mnist, test_and_probe_images, tmp_path
):
    """Each bit width gets its own test images: all would take a minute on an ATmega."""
    model = quantized(bits)
    tested = mnist.test.images[[*BIT_WIDTHS].index(bits) :: len(BIT_WIDTHS)]
    probes = test_and_probe_images(model.integers)[1000:]
    images = np.concatenate([tested, probes])
    write_source(model, tmp_path)
    result = check(core, model, tmp_path, images, measured=len(tested))
    assert (result.difference, result.images) == ("", len(images))
    # Sums and logits, and `next`, which an AVR does not pad to 4 bytes.
    assert result.values["ram"] - 4 * (20 + 10) in (2, 4)
    if core.compiler.program == "arm-none-eabi-gcc":
        flash, instructions = LIMITS[bits]
        assert result.values["flash"] <= flash
        assert result.values["instructions"] <= instructions


def test_a_core_detects_a_wrong_weight_that_test_images_never_use(
    quantized, mnist, test_and_probe_images, tmp_path
):
    model = quantized(8)
    corner = np.array(model.integers.weights_1)
    corner[3, 0] += 1  # pixel 0 is black in all test images
    wrong = replace(model, integers=replace(model.integers, weights_1=corner))
    write_source(wrong, tmp_path)
    assert not check(RV32, model, tmp_path, mnist.test.images[:100]).difference
    images = test_and_probe_images(model.integers)
    assert "the sum of N14 is" in check(RV32, model, tmp_path, images).difference


def test_a_network_that_is_too_large_for_a_core_is_skipped(quantized, mnist, tmp_path):
    model = quantized(8, hidden=64)
    write_source(model, tmp_path)
    result = check(AVR, model, tmp_path, mnist.test.images[:10])
    rule = "needs 53,224 bytes of flash, but the emulated board has 32,768"
    assert result.skipped == rule


@pytest.mark.fault
@pytest.mark.parametrize(
    ("core", "ending"),
    [
        (CORTEX_M0, "failed: it ended"),
        (RV32, "failed: it ended"),
        (RV32, "did not finish within 2 s"),
    ],
)
def test_an_emulator_that_crashes_or_hangs_is_an_error(
    core, ending, quantized, mnist, monkeypatch, tmp_path
):
    model = quantized(8)
    write_source(model, tmp_path)
    crash = f'__asm__ volatile("{ILLEGAL[core]}");'
    body = "for (;;) {}" if "within" in ending else crash
    path = tmp_path / "digits.c"
    path.write_text(path.read_text().replace("d->next = 0;", body))
    monkeypatch.setattr(emulators, "EMULATOR_TIMEOUT", (2.0, 0.0))
    with pytest.raises(UserError, match=f"^the emulated {core.name} .*{ending}"):
        check(core, model, tmp_path, mnist.test.images[:1])
