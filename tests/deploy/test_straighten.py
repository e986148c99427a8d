"""The C function that straightens an image: equal to the Python code, and small."""

import re
from dataclasses import replace
from pathlib import Path

import emulators
import numpy as np
import pytest

from pipeline import deploy
from pipeline.datasets.upright import straighten
from pipeline.deploy.c_source import write_source
from pipeline.deploy.compilers import COMPILERS, FLAGS, execute, missing

PROGRAM = """
#include <stdio.h>
#include "digits.h"
static uint8_t image[784];
int main(void)
{
    while (fread(image, sizeof image, 1, stdin)) {
        digits_straighten(image);
        fwrite(image, sizeof image, 1, stdout);
    }
    return 0;
}
"""
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def images(mnist):
    """All test images, and images that no camera makes: extremes, noise, dots."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (500, 28, 28))
    dots = noise * (generator.random(noise.shape) < 0.004)
    shapes = [np.zeros((28, 28)), np.ones((28, 28)), np.eye(28), np.tri(28)]
    shapes += [shape[:, ::-1] for shape in shapes]
    extremes = 255 * np.stack(shapes)
    return np.concatenate([mnist.test.images, noise, dots, extremes]).astype(np.uint8)


@pytest.fixture
def folder(quantized, tmp_path):
    """The C code of a network whose metadata name `mnist_upright`."""
    model = quantized(8)
    metadata = model.trained.metadata.model_copy(update={"dataset": "mnist_upright"})
    trained = replace(model.trained, metadata=metadata)
    write_source(replace(model, trained=trained), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("compiler", "options"),
    [*zip(COMPILERS, (["-O2"], SANITIZERS), strict=True)],
    ids=["gcc, O2", "clang, sanitizers"],
)
def test_the_c_function_makes_the_same_images(compiler, options, images, folder):
    if problem := missing([compiler]):
        pytest.skip(problem)
    (folder / "main.c").write_text(PROGRAM)
    command = [compiler.program, *FLAGS, "-Werror", *options, "main.c", "straighten.c"]
    execute([*command, "-o", "program"], folder=folder, timeout=60.0)
    output = execute(
        [folder / "program"], folder=folder, timeout=60.0, stdin=images.tobytes()
    )
    made = np.frombuffer(output, np.uint8).reshape(images.shape)
    assert np.array_equal(made, straighten(images))


@pytest.mark.parametrize(
    ("core", "limits"),
    [
        (emulators.CORTEX_M0_GCC, {"flash": 1600, "stack": 210, "instructions": 115e3}),
        (emulators.AVR, {"flash": 2300, "stack": 120, "cycles": 510e3}),
    ],
    ids=["Cortex-M0", "ATmega328P"],
)
def test_a_board_makes_the_same_images_within_the_documented_limits(
    core, limits, images, folder
):
    if problem := missing([core.compiler, *core.tools]):
        pytest.skip(f"{core.name}: {problem}")
    some = np.concatenate([images[:300], images[-100:]])
    made, values = emulators.straighten_on(core, folder, some, measured=300)
    assert np.array_equal(made, straighten(some))
    readme = (Path(deploy.__file__).parent / "README.md").read_text()
    (documented,) = re.findall(f"[Aa]n? {core.name} needs at most ([^;.]+)", readme)
    for name, limit in limits.items():
        assert values[name] <= limit, name
        assert f"{limit:,.0f}" in documented
