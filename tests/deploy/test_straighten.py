"""The C function that straightens an image: equal to the Python code, and small."""

from pathlib import Path

import emulators
import numpy as np
import pytest

from pipeline import deploy
from pipeline.datasets.upright import straighten
from pipeline.deploy.c_source import write_source
from pipeline.deploy.compilers import COMPILERS, FLAGS, execute, missing

FOLDER = Path(deploy.__file__).parent
DOCUMENT = (FOLDER / "straighten.md").read_text()
CODE = (FOLDER / "c/straighten.c").read_text()
PROGRAM = """
#include <stdio.h>
static uint8_t image[784];
int main(void)
{
    while (fread(image, sizeof image, 1, stdin)) {
        straighten(image);
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


@pytest.mark.parametrize("options", [["-O2"], SANITIZERS], ids=["O2", "sanitizers"])
@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c.program)
def test_the_c_function_makes_the_same_images(compiler, options, images, tmp_path):
    if problem := missing([compiler]):
        pytest.skip(problem)
    (tmp_path / "straighten.c").write_text(CODE + PROGRAM)
    command = [
        compiler.program,
        *FLAGS,
        "-Werror",
        *options,
        "straighten.c",
        "-o",
        "program",
    ]
    execute(command, folder=tmp_path, timeout=60.0)
    output = execute(
        [tmp_path / "program"], folder=tmp_path, timeout=60.0, stdin=images.tobytes()
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
    core, limits, quantized, images, tmp_path
):
    if problem := missing([core.compiler, *core.tools]):
        pytest.skip(f"{core.name}: {problem}")
    write_source(quantized(8), tmp_path)
    some = np.concatenate([images[:300], images[-100:]])
    made, figures = emulators.straighten_on(core, tmp_path, CODE, some, measured=300)
    assert np.array_equal(made, straighten(some))
    for name, limit in limits.items():
        assert figures[name] <= limit, name
        assert f"{limit:,.0f}" in DOCUMENT
