"""The names of data sets that are known without an import of `datasets`.

That import takes 0.2 s. With this module, --help and the rejection of an invalid
setting avoid it. `name_or_folder` in `datasets/registry.py` accepts these names too.
"""

import os
import re
from pathlib import Path

from pipeline.base.text import NAME_CHARACTERS

# Names in the registry. Other registered names are accepted too, after the import.
REGISTERED = frozenset({"mnist", "mnist_upright", "fashion_mnist", "digits"})
# The form of the name of a data set that was imported from a folder; see `prepare`.
IMPORTED = re.compile(rf"[{NAME_CHARACTERS}]*-[0-9a-f]{{8}}")


def is_known(value: str, *, folder: Path) -> bool:
    """Return whether a text is a registered name, or a data set imported to `folder`.

    `folder` is the folder of all data sets.
    """
    if value in REGISTERED:
        return True
    is_imported = IMPORTED.fullmatch(value)
    return bool(is_imported) and os.path.isfile(folder / f"{value}.json")
