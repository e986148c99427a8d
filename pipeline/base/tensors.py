"""Safetensors files with JSON metadata, and hashes of tensors.

Such a file cannot contain code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from pipeline import UserError
from pipeline.base import files
from pipeline.base.text import shortened

VERSION = 1  # the version of the file format
NOT_READABLE = "is not a safetensors file"
# A dtype that NumPy lacks raises an AttributeError, and deeply nested JSON raises a
# RecursionError.
UNREADABLE = (SafetensorError, ValueError, TypeError, AttributeError, RecursionError)


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and the metadata of a file; {} if there is no metadata.

    Raises:
        UserError: If the file is missing or cannot be read, the metadata is not a JSON
            object, or a different version of this project wrote the file.
    """
    if not os.path.lexists(path):
        raise UserError(f"{path} is missing")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} {NOT_READABLE}: it is a folder or a special file")
    with files.reading(path):
        try:
            # The file is opened twice, because safetensors reports an unreadable file
            # as missing.
            with path.open("rb"), safe_open(path, framework="np") as stored:
                tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
                metadata = json.loads((stored.metadata() or {}).get("about", "{}"))
        except UNREADABLE as error:
            raise UserError(f"{path} {NOT_READABLE}: {error}") from None
    if not isinstance(metadata, dict):
        raise UserError(f"{path} {NOT_READABLE}: its metadata is not a JSON object")
    version = metadata.pop("version", None) if metadata else VERSION
    if version != VERSION:
        raise UserError(
            f"{path} was written by a different version of this project: its format "
            f"must be {VERSION}, got {shortened(repr(version))}: create "
            "the file again"
        )
    return tensors, metadata


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and JSON metadata atomically; equal input gives equal files."""
    # There is only one key, because safetensors writes several keys in random order.
    about = json.dumps({**metadata, "version": VERSION}, sort_keys=True)
    content = safetensors.save(dict(tensors), {"about": about})
    files.write_atomic(path, content)


def tensors_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """Return a hash of the names, types, shapes and values of tensors.

    The hash identifies a network and does not depend on the metadata of the file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        header = [name, str(tensor.dtype), tensor.shape]
        digest.update(json.dumps(header).encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
