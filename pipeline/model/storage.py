"""The files of trained networks: the weights, and the weight history.

These files are safetensors files, which cannot contain code. The hyperparameters are
stored with the weights, so loading needs no settings. `records.run_files` reads and
writes all other files of a training run.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import UserError
from pipeline.base.error_messages import broken_rule
from pipeline.base.files import reading
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.base.text import NAME_CHARACTERS, shortened
from pipeline.core import PIXELS
from pipeline.core.epoch import Snapshot
from pipeline.core.hyperparameters import MAX_HIDDEN, Hyperparameters
from pipeline.core.network import Network, network_from, snapshot
from pipeline.core.shapes import parameter_count, tensor_shapes
from pipeline.records.params import params_of
from pipeline.records.run_files import belongs_elsewhere

# The tensors of all epochs, from 0, by name.
WeightHistory = dict[str, Float[np.ndarray, "epochs ..."]]
MAX_METADATA_BYTES = 1_000_000
MAX_NETWORK_BYTES = 4 * parameter_count(MAX_HIDDEN) + MAX_METADATA_BYTES


class Metadata(BaseModel):
    """The header of a network's file, which describes the training run.

    The values are validated. A file that another program wrote has no such header.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    # The name of the data set where the network was trained. On this machine, the same
    # images can have another name (`DataFile.name`) or be missing.
    dataset: str = Field(
        pattern=re.compile(rf"^[{NAME_CHARACTERS}]+\Z"), max_length=255
    )
    # The hash of the file of the data set.
    data_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    hyperparameters: Hyperparameters
    min_margin: float = Field(ge=0, allow_inf_nan=False)  # see `core.margin`

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "Metadata | None":
        """Return the metadata in the header of a file; other keys are ignored.

        The result is None if the header has none of the keys of the metadata.

        Raises:
            ValidationError: If only a part of the keys exists, or a value is invalid.
        """
        keys = {*cls.model_fields, *Hyperparameters.model_fields} - {"hyperparameters"}
        known = {key: header[key] for key in keys if key in header}
        if not known:
            return None
        hyperparameters = Hyperparameters.model_validate(known)
        own = {key: x for key, x in known.items() if key in cls.model_fields}
        return cls(**own, hyperparameters=hyperparameters)

    @property
    def header(self) -> dict[str, Any]:
        """The header of the file: the inverse of `from_header`."""
        own = self.model_dump(exclude={"hyperparameters"}, exclude_none=True)
        return {**own, **dict(self.hyperparameters)}

    @property
    def params(self) -> dict[str, Any]:
        """The params of the training run; see `params_of`."""
        return params_of({"dataset": self.dataset, **dict(self.hyperparameters)})


MetadataT = TypeVar("MetadataT", bound=Metadata)


def save_network(
    path: Path, network: Network, metadata: Metadata | None = None
) -> None:
    """Write a network and its metadata, if any."""
    write_tensors(path, snapshot(network), metadata.header if metadata else {})


def save_weight_history(path: Path, snapshots: Sequence[Snapshot]) -> None:
    """Write the tensors of all epochs, from 0, stacked along a new first axis."""
    names = snapshots[0]
    stacked = {name: np.stack([s[name] for s in snapshots]) for name in names}
    write_tensors(path, stacked, {})


@overload
def load_network(path: Path) -> tuple[Network, Metadata | None]: ...
@overload
def load_network(
    path: Path, kind: type[MetadataT]
) -> tuple[Network, MetadataT | None]: ...
def load_network(
    path: Path, kind: type[Metadata] = Metadata
) -> tuple[Network, Metadata | None]:
    """Read a network and its metadata, if any; the file is not trusted.

    Raises:
        UserError: If the file is missing, or if names, shapes, types or values are not
            those of a network, or if the metadata is incomplete or invalid.
    """
    with reading(path):
        size = path.stat().st_size if path.is_file() else 0
    if size > MAX_NETWORK_BYTES:
        raise UserError(
            f"{path} must have at most {MAX_NETWORK_BYTES:,} bytes, got {size:,}"
        )
    tensors, stored = read_tensors(path)
    _check_tensors(tensors, path)
    network = network_from(tensors)
    return network, _parse_metadata(stored, kind, network.hidden, path)


def _check_tensors(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise a UserError if the tensors do not form a network."""
    hidden = tensors["layer_1.bias"].size if "layer_1.bias" in tensors else 0
    expected = tensor_shapes(hidden)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if not hidden or shapes != expected:
        raise UserError(
            f"{path} must contain the arrays of a network (with 20 hidden neurons: "
            f"{tensor_shapes(20)}), got {shortened(str(shapes), 300)}"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} must contain finite float32 values")
    # Pixels are at most 1, so `largest` is a bound of all logits of all images.
    largest = np.ones(PIXELS, np.float32)
    arrays = [np.abs(tensors[name]) for name in expected]
    # A matrix product of finite values sometimes reported an invalid value (NumPy with
    # AVX-512). The check below finds all values that are not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        for weights, biases in zip(arrays[::2], arrays[1::2], strict=True):
            largest = largest @ weights.T + biases
    if not np.isfinite(largest).all():
        raise UserError(f"{path} contains values that make the logits overflow")


def _parse_metadata(
    stored: dict[str, Any], kind: type[Metadata], hidden: int, path: Path
) -> Metadata | None:
    """Return the metadata; raise a UserError if a value is missing or invalid."""
    if stored.get("hidden", hidden) != hidden:
        raise UserError(
            f"{path} has invalid metadata: hidden is "
            f"{shortened(repr(stored['hidden']))}, but its weights are those of "
            f"{hidden} hidden neurons"
        )
    try:
        return kind.from_header(stored)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        key = error["loc"][-1]
        rule = broken_rule(error)
        if error["type"] == "missing":  # also if code of an earlier version wrote it
            rule += ": train the network again"
        else:
            rule += f", got {shortened(repr(error['input']))}"
        raise UserError(f"{path} has invalid metadata: {key} {rule}") from None


def load_weight_history(path: Path, *, network: Network) -> WeightHistory:
    """Read the file of `save_weight_history`, whose last epoch must be `network`.

    Raises:
        UserError: If the file is missing or damaged, or ends with a different network.
    """
    stacked, _ = read_tensors(path)
    last = snapshot(network)
    if stacked.keys() != last.keys() or not all(
        tensor.dtype == np.float32
        and tensor.shape == (*stacked["layer_1.bias"].shape[:1], *last[name].shape)
        and tensor[-1:].tobytes() == last[name].tobytes()
        and np.isfinite(tensor).all()
        for name, tensor in stacked.items()
    ):
        raise belongs_elsewhere(path)
    return stacked
