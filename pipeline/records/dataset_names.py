"""The names and files of data sets, and the rule for the setting `dataset`.

This module is not in `datasets`, so that an invalid setting is rejected without the
slow import of that package.
"""

import difflib
import os
import re
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import user_path
from pipeline.base.text import NAME_CHARACTERS

# The data sets that are not imported; `REGISTRY` in `datasets` has an entry for each.
NAMES = ("mnist", "mnist_upright", "fashion_mnist", "digits")
# The form of the name of a data set that was imported from a folder.
IMPORTED = re.compile(rf"[{NAME_CHARACTERS}]*-[0-9a-f]{{8}}")


def is_name(value: str) -> bool:
    """Return whether a text has the form of a data set's name, and not of a path.

    A data set with this name need not exist.
    """
    return value in NAMES or bool(IMPORTED.fullmatch(value))


def data_path(name: str, *, folder: Path) -> Path:
    """Return the path of the file of a data set; the file may be missing."""
    return folder / f"{name}.safetensors"


def name_or_folder(value: str, *, folder: Path) -> str:
    """Return the name of a data set, or the absolute path of a folder to import.

    Args:
        value: The setting `dataset`.
        folder: The folder of all data sets.

    Raises:
        ValueError: If the text is not in `NAMES`, the name of a data set that was
            imported to `folder`, or a folder.
    """
    summary = data_path(value, folder=folder).with_suffix(".json")
    if value in NAMES or (is_name(value) and os.path.isfile(summary)):
        return value
    try:
        images = user_path(value, key="dataset")
        if value and images.is_dir():
            value = str(images.resolve())
            if not re.search("[\ud800-\udfff]", value):
                return value
            raise ValueError("must be a folder whose name is valid UTF-8")
    except (OSError, UserError):  # the name is too long, or a ~user does not exist
        pass
    raise ValueError(_rule(value))


def unknown_data_set(dataset: str) -> str:
    """Return the message about a data set that does not exist."""
    return f"dataset {_rule(dataset)}, got {dataset!r}"


def _rule(value: str) -> str:
    """Return the rule for the setting `dataset`, with the name that is most similar."""
    if {*value.split(",")} & {*NAMES}:
        return "must be one data set"
    names = ", ".join([*NAMES, "an imported data set"])
    matches = difflib.get_close_matches(value.lower(), NAMES, n=1)
    hint = f" (did you mean {matches[0]}?)" if matches else ""
    return f"must be {names} or an existing folder{hint}"
