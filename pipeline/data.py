"""Prepares a data set and plots its images.

Downloads the images, reads them from an installed package, or imports them from a
folder with IDX files as a new data set. Prints the name of the data set, which later
commands accept as dataset=. Writes <dataset>.safetensors, <dataset>.json,
<dataset>-components.safetensors, <dataset>-means.png and <dataset>-samples.png to
outputs/data/. MNIST is downloaded once (about 20 MB; its files take 110 MB on disk).
MNIST has 60,000 training and 10,000 test images. The mean of the training pixels is
0.1307. Of the 784 pixels, 67 are always zero.
"""

from typing import TYPE_CHECKING, Unpack

from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    DataConfig,
    DataKeywords,
    defaults,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.datasets.prepare import PreparedData


@documented(DataConfig, DataKeywords)
def data(
    *,
    quiet: bool = False,
    **settings: Unpack[DataKeywords],
) -> "PreparedData":
    """Prepare a data set, like `python -m pipeline.data`.

    Args:
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as dataset="digits"; they are listed below.

    Returns:
        The file of the data set, its summary, and whether the file is new.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If the source or a file cannot be used.
    """
    with output(quiet=quiet):
        return run_data(from_python(DataConfig, settings))


def run_data(command: Command[DataConfig]) -> "PreparedData":
    """Create the file of the data set unless it exists, and print its summary."""
    from pipeline.datasets.data import data

    return data(command.config.dataset, default=defaults()["dataset"])


if __name__ == "__main__":
    main(run_data, DataConfig)
