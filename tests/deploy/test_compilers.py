from dataclasses import replace

import numpy as np
import pytest

from pipeline import UserError
from pipeline.deploy import compilers
from pipeline.deploy.c_source import write_source
from pipeline.deploy.checks import Outputs
from pipeline.deploy.compilers import (
    COMPILERS,
    check_compiled,
    execute,
    missing,
    run_compiled,
)
from pipeline.deploy.probes import probe_images

problem = missing(COMPILERS)
pytestmark = pytest.mark.skipif(bool(problem), reason=problem)
SANITIZERS = ["-Werror", "-O1", "-g", "-fsanitize=address,undefined"]
SANITIZERS += ["-fno-sanitize-recover=all"]
# Rows of weights that begin inside a byte; 78,400 weights, whose positions need more
# than 16 bits. The long tests have each position at which rows can begin.
SIZES = [("gcc", 8, 1), ("clang", 8, 33), ("gcc", 4, 5), ("clang", 2, 7)]
SIZES += [("clang", 1, 5), ("clang", 1, 100)]
SIZES += [
    pytest.param("gcc", bits, hidden, marks=pytest.mark.fault)
    for bits in (8, 4, 2, 1)
    for hidden in (*range(1, 8 // bits + 2), 41)
]


@pytest.fixture
def written(quantized, tmp_path):
    """Return a function that writes the C code of a network; it returns the network."""

    def write(bits, hidden=20):
        model = quantized(bits, hidden)
        write_source(model, tmp_path)
        return model

    return write


def probes(network):
    return probe_images(network, generator=np.random.default_rng(2))


def difference(folder, network, compiler="gcc", options=("-O1",)):
    """Return the difference of the C code in a folder from the reference."""
    images = probes(network)
    expected = Outputs.of(network, images)
    return run_compiled(compiler, folder, images, expected, options=options)


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_all_test_images_and_probes_give_the_same_integers(
    bits, written, mnist, tmp_path
):
    network = written(bits).integers
    images = np.concatenate([mnist.test.images, probes(network)])
    expected = Outputs.of(network, images)
    for compiler in COMPILERS:
        check = check_compiled(compiler, tmp_path, images, expected)
        assert (check.difference, check.images) == ("", len(images))


@pytest.mark.parametrize(("compiler", "bits", "hidden"), SIZES)
def test_other_sizes_give_the_same_integers_and_the_sanitizers_report_nothing(
    bits, hidden, compiler, written, tmp_path
):
    network = written(bits, hidden).integers
    assert difference(tmp_path, network, compiler, SANITIZERS) == ""


@pytest.mark.parametrize(("bits", "hidden"), [(8, 33), (4, 5), (2, 7), (1, 100)])
def test_the_code_calls_no_function_of_a_c_library(bits, hidden, written, tmp_path):
    written(bits, hidden)
    for compiler in COMPILERS:
        for option in ("-Os", "-O3"):
            compile_ = [compiler.program, "-std=c99", option, "-c", "digits.c"]
            execute(compile_, folder=tmp_path, timeout=60.0)
            undefined = execute(["nm", "-u", "digits.o"], folder=tmp_path, timeout=60.0)
            assert undefined == b""  # no call to memcpy for a loop that copies a table


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_warning_of_another_version_of_a_compiler_is_not_a_failure(
    compiler, written, tmp_path
):
    network, warning = written(8).integers, "-Wpadded"  # warns if digits_t has padding
    with pytest.raises(UserError, match="padded"):
        difference(tmp_path, network, compiler, [warning, "-Werror"])
    assert difference(tmp_path, network, compiler, [warning]) == ""


MUTANTS = {
    "the output is not clamped": (8, "> 255 ? 255 :", "> 255 ? (uint8_t)output :"),
    "the shift rounds down": (8, "(((uint32_t)1 << shift) >> 1)", "0"),
    "the shift rounds up": (8, "(((uint32_t)1 << shift) >> 1)", "(1u << shift) - 1"),
    "half is 1 too low": (8, "<< shift) >> 1)", "<< shift) >> 1) - 1"),
    "a sum has 16 bits": (8, "((uint32_t)sum", "((uint16_t)sum"),
    "negative sums are not 0": (8, "if (sum <= 0)", "if (0)"),
    "the last pixel is dropped": (8, "PIXELS) {", "PIXELS - 1) {"),
    "pixel 785 is added": (8, "d->next >= ", "d->next > "),
    "gray level 1 is dark": (8, "gray == 0", "gray <= 1"),
    "dark pixels are not counted": (4, "d->next++", "d->next += gray > 0"),
    "the biases of layer 1 are missing": (8, "READ_INT32(&biases_1[j])", "0"),
    "the biases of layer 2 are missing": (8, "READ_INT32(&biases_2[k])", "0"),
    "weights have no sign": (8, "READ_INT8(&row[j])", "(uint8_t)READ_INT8(&row[j])"),
    "an image continues the previous one": (8, "d->next = 0;", ""),
    "the last class is never predicted": (8, "1; k < DIGITS_CLASSES", "1; k < 9"),
    "for equal logits, the last wins": (8, "] > logits", "] >= logits"),
    "the first half of a byte comes last": (4, "packed & 15", "packed >> 4"),
    "zero is not in the middle": (4, " - 8)", " - 7)"),
    "rows begin at a byte": (1, "packed >> (position % PER_BYTE * BITS)", "packed"),
    "-1 is not subtracted": (2, "d->sum[j] -= gray;", ""),
    "the signs are exchanged": (1, "packed & 1", "~packed & 1"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_an_error_in_the_code_is_detected(mutant, written, tmp_path):
    bits, original, changed = MUTANTS[mutant]
    network = written(bits).integers
    path = tmp_path / "digits.c"
    before, after = path.read_text().split(original)  # `original` occurs once
    path.write_text(before + changed + after)
    assert difference(tmp_path, network)


@pytest.mark.parametrize(
    "constant", ["weights_1", "biases_1", "shifts", "weights_2", "biases_2"]
)
def test_a_wrong_constant_is_detected(constant, written, mnist, tmp_path):
    model = written(8)
    array = getattr(model.integers, constant).copy()
    array.flat[0] += 1 if array.flat[0] < 127 else -1
    # Only a probe image uses weights_1[0, 0].
    assert not mnist.test.images[:, 0, 0].any()
    changed = replace(model.integers, **{constant: array})
    write_source(replace(model, integers=changed), tmp_path)
    assert difference(tmp_path, model.integers)


def test_a_wrong_image_in_the_selftest_is_detected(written, tmp_path):
    network = written(8).integers
    path = tmp_path / "selftest.c"
    path.write_text(path.read_text().replace(" 254,", " 253,", 1))
    assert difference(tmp_path, network) == "the self-test returned 1, not 0"


def test_a_program_that_does_not_end_is_stopped(written, tmp_path, monkeypatch):
    network = written(8).integers
    path = tmp_path / "digits.c"
    path.write_text(path.read_text().replace("d->next = 0;", "for (;;) {}"))
    monkeypatch.setattr(compilers, "RUN_TIMEOUT", 0.5)
    monkeypatch.setattr(compilers, "SUM_TIMEOUT", 0.0)
    with pytest.raises(UserError, match=r"with gcc, did not finish within 0\.5 s"):
        difference(tmp_path, network)


def test_a_program_that_may_not_run_is_an_error_with_the_remedy(tmp_path):
    (tmp_path / "program").touch()  # not executable, as with noexec
    with pytest.raises(UserError, match=f"cannot run in {tmp_path}: set TMPDIR to"):
        execute([tmp_path / "program"], folder=tmp_path, timeout=1.0)
