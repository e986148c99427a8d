import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emulators import AVR_GCC, AVR_LIBC

from pipeline.core import CLASSES, PIXELS
from pipeline.core.dataset import DataFile
from pipeline.datasets import DatasetSpec
from pipeline.datasets.registry import REGISTRY
from pipeline.deploy.c_source import SOURCES, selftest_rows, write_source
from pipeline.deploy.checks import Outputs
from pipeline.deploy.compilers import COMPILERS, FLAGS, Tool, missing
from pipeline.integers import BIT_WIDTHS

problem = missing([*COMPILERS, Tool("g++", "g++")])
pytestmark = pytest.mark.skipif(bool(problem), reason=problem)
STRICT = (*FLAGS, "-Werror")
WHITE = np.full((1, 28, 28), 255, np.uint8)
# Names that end comments and strings, start comments, trigraphs and formats, continue
# a line, or are not ASCII.
BAD_NAMES = (
    "*/ #error 1",
    "/*",
    'a"b',
    "\\",
    "??/",
    "%s%n",
    "ä€",
    "\n#error 2",
    "**//",
)


@pytest.fixture(scope="module")
def model(quantized):
    return quantized(1, 5)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("c")
    write_source(model, path)
    return path


def build(folder, *command):
    subprocess.run(command, cwd=folder, check=True, text=True, stderr=subprocess.PIPE)


def load(folder, hidden):
    """Load the C code as a library that Python calls, with its type digits_t."""

    class State(ctypes.Structure):
        _fields_ = [("sum", ctypes.c_int32 * hidden), ("next", ctypes.c_uint16)]

    command = ["gcc", *STRICT, "-shared", "-fPIC", "digits.c", "selftest.c"]
    build(folder, *command, "-o", "digits.so")
    library = ctypes.CDLL(folder / "digits.so")
    library.State = State
    return library


@pytest.fixture(scope="module")
def library(folder, model):
    return load(folder, model.integers.hidden)


def feed(library, state, pixels):
    for gray in pixels:
        library.digits_pixel(ctypes.byref(state), ctypes.c_uint8(int(gray)))


def begin(library):
    state = library.State()
    ctypes.memset(ctypes.byref(state), 0xA5, ctypes.sizeof(state))
    library.digits_begin(ctypes.byref(state))
    return state


def check(library, state, model, image):
    """Compare the sums and logits of an image with the reference."""
    expected = Outputs.of(model.integers, image.reshape(1, 28, 28))
    logits, before = (ctypes.c_int32 * CLASSES)(), bytes(state)
    library.digits_logits(ctypes.byref(state), logits)
    assert bytes(state) == before  # the call does not change the state
    assert list(state.sum) == expected.sums[0].tolist()
    assert list(logits) == expected.logits[0].tolist()


@pytest.mark.parametrize("count", [0, 1, 400, 783])
def test_missing_pixels_count_as_0(count, library, model, mnist):
    image = mnist.test.images[1].ravel()
    state = begin(library)
    feed(library, state, image[:count])
    check(library, state, model, np.where(np.arange(PIXELS) < count, image, 0))


def test_pixels_after_the_last_are_ignored(library, model):
    state = begin(library)
    feed(library, state, [255] * 70_000)  # more pixels than a 16-bit counter can count
    check(library, state, model, WHITE)


def test_two_images_can_be_computed_at_the_same_time(library, model, mnist):
    images = mnist.test.images[:2].reshape(2, PIXELS)
    states = [begin(library), begin(library)]
    for pixels in images.T:
        for state, gray in zip(states, pixels, strict=True):
            feed(library, state, [gray])
    for state, image in zip(states, images, strict=True):
        check(library, state, model, image)


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_selftest_detects_each_wrong_shift_and_weight_of_layer_2(bits, quantized):
    model = quantized(bits)
    network, images = model.integers, model.dataset.test.images
    images = images[selftest_rows(model)]
    outputs = network.activations(network.sums(images))
    silent = (network.activations(network.sums(model.dataset.test.images)) < 2).all(0)
    expected = Outputs.of(network, images)
    for j in np.flatnonzero(~silent):
        assert ((outputs[:, j] > 1) & (outputs[:, j] < 255)).any()
        for name, place in (
            ("shifts", j),
            *(("weights_2", (k, j)) for k in range(CLASSES)),
        ):
            array = getattr(network, name).copy()
            array[place] += 1 if array[place] < 127 else -1
            changed = replace(network, **{name: array})
            assert Outputs.of(changed, images).first_difference(expected)


def selftest(folder, model):
    library = load(folder, model.integers.hidden)
    return library.digits_selftest(ctypes.create_string_buffer(100))


def test_the_selftest_checks_weights_that_no_test_image_uses(model, tmp_path, mnist):
    write_source(model, tmp_path)
    assert selftest(tmp_path, model) == 0
    expected = (tmp_path / "selftest.c").read_text()
    assert not mnist.test.images[:, 0, 0].any()
    weights_1 = model.integers.weights_1.copy()
    weights_1[0, 0] *= -1
    changed = tmp_path / "changed"
    changed.mkdir()
    write_source(
        replace(model, integers=replace(model.integers, weights_1=weights_1)), changed
    )
    (changed / "selftest.c").write_text(expected)
    assert selftest(changed, model) == len(selftest_rows(model)) + 1


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_cpp_program_can_use_the_code_compiled_as_c_or_cpp(compiler, folder):
    (folder / "sketch.cpp").write_text(
        '#include "selftest.h"\n'
        "int main() { digits_t d; return digits_selftest(&d); }\n"
    )
    strict = ["-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion"]
    build(folder, "gcc", *STRICT, "-c", "digits.c", "selftest.c")
    build(folder, compiler, *strict, "sketch.cpp", "digits.o", "selftest.o", "-o", "c")
    sources = ["-x", "c++", "sketch.cpp", "digits.c", "selftest.c"]
    build(folder, compiler, *strict, *sources, "-o", "cpp")
    for program in ("c", "cpp"):
        subprocess.run([folder / program], check=True)


def run_example(folder, image):
    return subprocess.run([folder / "example"], input=image, capture_output=True)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_names_in_a_data_set_cannot_add_code(compiler, model, tmp_path, monkeypatch):
    names = tuple(BAD_NAMES[label % len(BAD_NAMES)] for label in range(CLASSES))
    name = "/data/*/\n#error 3"
    spec = DatasetSpec(name, read=lambda folder: None, class_names=names)
    monkeypatch.setitem(REGISTRY, name, spec)
    metadata = model.trained.metadata.model_copy(update={"dataset": name})
    changed = replace(
        model,
        trained=replace(model.trained, metadata=metadata),
        dataset=replace(model.dataset, file=DataFile(Path(f"{name}.safetensors"), "")),
    )
    write_source(changed, tmp_path)
    for source in SOURCES:  # where the data set is on this machine
        assert "/data" not in (tmp_path / source).read_text()
    for source in ("digits.c", "selftest.c"):
        build(tmp_path, compiler, *STRICT, "-c", source)
    build(tmp_path, compiler, *STRICT, "example.c", "digits.o", "-o", "example")
    run = run_example(tmp_path, (tmp_path / "image0.bin").read_bytes())
    lines = run.stdout.decode().splitlines()
    predicted = int(model.predictions[0])
    assert lines[-1] == f"prediction: {names[predicted]}".replace("\n", "\ufffd")
    logits = [int(line.split()[-1]) for line in lines[:-1]]
    expected = Outputs.of(model.integers, model.dataset.test.images[:1])
    assert logits == expected.logits[0].tolist()


def test_the_example_prints_what_its_comment_says(folder):
    build(folder, "gcc", *STRICT, "example.c", "digits.c", "-o", "example")
    image = (folder / "image0.bin").read_bytes()
    printed = run_example(folder, image).stdout.decode()
    comment = "".join(f" *     {line}\n" for line in printed.splitlines())
    assert comment in (folder / "example.c").read_text()
    short = run_example(folder, image[:100])
    assert short.returncode == 1
    assert short.stderr == b"error: an image has 784 bytes, got 100\n"


@pytest.mark.parametrize(("bits", "largest"), [(8, 41), (1, 334)])
def test_a_table_that_a_16_bit_core_cannot_address_is_an_error(
    bits, largest, quantized, tmp_path
):
    if problem := missing([AVR_GCC, AVR_LIBC]):
        pytest.skip(problem)
    model = quantized(bits, 2)
    command = ["avr-gcc", "-mmcu=atmega1284p", "-Os", *STRICT, "-c", "digits.c"]
    for hidden in (largest, largest + 1):
        zeros = np.zeros(hidden)
        network = replace(
            model.integers,
            weights_1=np.ones((hidden, PIXELS), np.int8),
            biases_1=zeros.astype(np.int32),
            shifts=zeros.astype(np.uint8),
            weights_2=np.ones((CLASSES, hidden), np.int8),
            scale_1=zeros,
        )
        write_source(replace(model, integers=network), tmp_path)
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        is_rejected = "weights_1 is too large for this core" in run.stderr
        assert is_rejected == bool(run.returncode) == (hidden > largest)
