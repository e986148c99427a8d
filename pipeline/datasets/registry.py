"""The data sets that have a name, and the raw files of those that are downloaded.

Every other name is the path of a folder with IDX files.
"""

from dataclasses import dataclass
from pathlib import Path

RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class DownloadedDataset:
    """A data set that consists of the four raw files of MNIST's format."""

    torchvision: str  # the name of its class in torchvision, and of its folder
    sha256: tuple[str, str, str, str]  # of the uncompressed files, as in RAW_FILES
    debian: Path | None = None  # the folder of its Debian package, if there is one

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of each raw file by its name."""
        return dict(zip(RAW_FILES, self.sha256, strict=True))


DOWNLOADED = {
    "mnist": DownloadedDataset(
        torchvision="MNIST",
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": DownloadedDataset(
        torchvision="FashionMNIST",
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        debian=Path("/usr/share/datasets/fashion-mnist"),
    ),
}
NAMES = (*DOWNLOADED, "digits")


def is_folder(dataset: str) -> bool:
    """Return whether a data set is a folder with IDX files, not a name."""
    return dataset not in NAMES
