"""The identity of a training: equal identities mean equal bytes."""

from collections.abc import Mapping
from typing import Any

from pipeline.files import json_sha256
from pipeline.tracking import provenance, sources


def identity(settings: Mapping[str, Any], *, data_sha256: str, processor: str) -> str:
    """Return a digest of all that determines the weights of a training.

    Args:
        settings: The hyperparameters; the name of the data set does not count.
        data_sha256: The hash of the data set.
        processor: See `provenance.processor`.

    Returns:
        Two digests: of code, version and processor, and of the settings and the data.
        So the trainings of the same code share a prefix.
    """
    return identity_prefix(processor) + settings_digest(settings, data_sha256)


def identity_prefix(processor: str) -> str:
    """Return the part of an identity that depends on neither settings nor data."""
    code, version = sources.training_hashes(), provenance.torch_version()
    return json_sha256([code, version, processor])[:8] + "-"


def settings_digest(settings: Mapping[str, Any], data_sha256: str) -> str:
    """Return the part of an identity that depends on settings and data alone."""
    numbers = {key: x for key, x in settings.items() if key != "dataset"}
    return json_sha256([numbers, data_sha256])[:16]
