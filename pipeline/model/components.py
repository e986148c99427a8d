"""The principal components of the detector, which are stored once per training set.

They depend on the training images alone, so all networks that were trained with these
images share a file. Its name contains the hashes of the data and of the code.
"""

import hashlib
import re
from pathlib import Path

from pipeline import CLASSES, PIXELS, UserError, datasets
from pipeline.model import ood
from pipeline.model.ood import COMPONENTS, MIN_MARGIN, OodDetector, fit_components
from pipeline.model.storage import is_threshold, read_tensors, write_tensors
from pipeline.paths import outputs_dir, store_dir

# Of the module that computes them, as it was imported; it also contains its constants.
_CODE = hashlib.sha256(Path(ood.__file__).read_bytes()).hexdigest()[:8]


def store_components(data: Path, split: str, *, sha256: str) -> None:
    """Fit the components to the training images of a data set, unless they are stored.

    Raises:
        UserError: If the file of the data set has another hash.
    """
    path = _path(sha256, split)
    if path.exists():
        return
    dataset = datasets.Dataset.read(data)
    if dataset.sha256 != sha256:
        raise UserError(f"{data} changed: its sha256 must be {sha256}")
    train = dataset.split(split).train
    write_components(path, fit_components(train.images, train.labels))


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
    return read_components(path)


def write_components(path: Path, detector: OodDetector) -> None:
    """Write the part of a detector that does not depend on the network (400 KB)."""
    arrays = {"means": detector.means, "components": detector.components}
    write_tensors(path, arrays, {"max_error": detector.max_error})


def read_components(path: Path) -> OodDetector:
    """Read the file of `write_components`.

    Raises:
        UserError: If the file is damaged.
    """
    arrays, metadata = read_tensors(path)
    expected = {
        "means": ("uint8", (CLASSES, PIXELS)),
        "components": ("int8", (CLASSES, COMPONENTS, PIXELS)),
    }
    actual = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    max_error = metadata.get("max_error")
    if actual != expected or not is_threshold(max_error):
        raise UserError(f"{path} is damaged: delete it, and it is computed again")
    return OodDetector(arrays["means"], arrays["components"], max_error, MIN_MARGIN)


def _path(sha256: str, split: str) -> Path:
    name = f"{sha256[:16]}-{_CODE}-{split}.safetensors"
    return store_dir() / "components" / name
