"""The principal components of the detector, which are stored once per training set.

They depend on the training images alone, so all networks that were trained with these
images share a file. Its name contains the hashes of the data and of the code.
"""

import hashlib
import re
from pathlib import Path

from pipeline import UserError, datasets
from pipeline.model import ood, storage
from pipeline.model.ood import OodDetector, fit_components
from pipeline.paths import outputs_dir, store_dir

# Of the module that computes them, as it was imported; it also contains its constants.
_CODE = hashlib.sha256(Path(ood.__file__).read_bytes()).hexdigest()[:8]


def store_components(data: Path, split: str, *, sha256: str) -> None:
    """Fit the components to the training images of a data set, unless they are stored.

    Args:
        data: The file of the data set.
        split: How it is split.
        sha256: The hash of the file.

    Raises:
        UserError: If the file has another hash.
    """
    path = _path(sha256, split)
    if path.exists():
        return
    dataset = datasets.Dataset.read(data)
    if dataset.sha256 != sha256:
        raise UserError(f"{data} changed: its sha256 must be {sha256}")
    train = dataset.split(split).train
    storage.save_components(path, fit_components(train.images, train.labels))


def load_components(sha256: str, split: str) -> OodDetector | None:
    """Read stored components, or compute them if the data set is in outputs/data/.

    Args:
        sha256: The hash of the data; in a file that is not trusted, it can be any text.
        split: How the data set was split.

    Returns:
        The components; None if neither they nor the data are available.

    Raises:
        UserError: If the file of the components is damaged.
    """
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        return None
    path = _path(sha256, split)
    if not path.exists():
        data = datasets.find(sha256, folder=outputs_dir() / "data")
        if data is None:
            return None
        store_components(data, split, sha256=sha256)
    return storage.load_components(path)


def _path(sha256: str, split: str) -> Path:
    name = f"{sha256[:16]}-{_CODE}-{split}.safetensors"
    return store_dir() / "components" / name
