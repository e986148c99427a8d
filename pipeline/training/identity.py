"""The identity of a training: equal identities mean equal bytes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.tracking import provenance, sources


def identity(
    settings: Mapping[str, Any],
    *,
    data_sha256: str,
    processor: str,
    torch: str | None = None,
) -> str:
    """Return a digest of all that determines the weights of a training.

    Args:
        settings: The hyperparameters; the name of the data set does not count.
        data_sha256: The hash of the data set.
        processor: See `provenance.processor`.
        torch: The version of PyTorch; None for the one of this process.

    Returns:
        Two digests: of code, version and processor, and of the settings and the data.
        So the trainings of the same code share a prefix.
    """
    numbers = {key: x for key, x in settings.items() if key != "dataset"}
    prefix = identity_prefix(processor=processor, torch=torch)
    return prefix + _digest([numbers, data_sha256], length=16)


def identity_prefix(*, processor: str, torch: str | None = None) -> str:
    """Return the part of an identity that depends on neither settings nor data."""
    version = torch or provenance.torch_version()
    code = sources.training_hashes()
    return _digest([code, version, processor], length=8) + "-"


def _digest(content: object, *, length: int) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
