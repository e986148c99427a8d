"""The identity of a training: equal identities mean equal bytes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.tracking import provenance, sources

NUMBERS = ("split", "hidden", "epochs", "batch_size", "lr", "seed")


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
        processor: The name of the processor, on which the last bits depend.
        torch: The version of PyTorch; None for the one of this process.

    Returns:
        Two digests: of code, version and processor, and of the settings and the data.
        So the trainings of the same code share a prefix.
    """
    numbers = [settings[name] for name in NUMBERS]
    prefix = identity_prefix(processor=processor, torch=torch)
    return prefix + _digest([numbers, data_sha256], length=16)


def identity_prefix(*, processor: str, torch: str | None = None) -> str:
    """Return the part of an identity that depends on neither settings nor data."""
    version = torch or provenance.version("torch")
    code = sources.training_hashes()
    return _digest([code, version, processor], length=8) + "-"


def _digest(content: object, *, length: int) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
