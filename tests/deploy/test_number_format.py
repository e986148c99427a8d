"""All descriptions of the number format repeat the text of c/number_format.txt."""

from pathlib import Path

import pytest

from pipeline import deploy
from pipeline.deploy.c_source import write_source
from pipeline.integers import BIT_WIDTHS

FOLDER = Path(deploy.__file__).parent
FORMAT = (FOLDER / "c" / "number_format.txt").read_text()


def test_the_documentation_contains_the_number_format():
    assert f"```\n{FORMAT}```\n" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_comment_of_the_c_code_contains_the_number_format(
    bits, quantized, tmp_path
):
    write_source(quantized(bits), tmp_path)
    comment = "".join(f" *     {line}\n" for line in FORMAT.splitlines())
    text = (tmp_path / "digits.c").read_text()
    assert comment in text
    for name in ("weights_1", "biases_1", "shifts", "weights_2", "biases_2"):
        assert f" {name}[" in text.split("*/", 1)[1] and f"{name}[" in FORMAT
