"""The task of a worker: export a network with one width, and return its files.

The nodes of a cluster share no folder with the driver, so the files travel as bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline import UserError
from pipeline.datasets import Dataset
from pipeline.deploy.output import Exported, export_model
from pipeline.deploy.quantized import QuantizedModel
from pipeline.model import Snapshot, TrainedModel, network_from, snapshot


def arguments_of(trained: TrainedModel) -> dict[str, Any]:
    """Return a trained network as arguments of `export_setting`."""
    fields = ("metadata", "path", "sha256", "run_id")
    about = {name: getattr(trained, name) for name in fields}
    return {"tensors": snapshot(trained.network), "about": about}


def export_setting(
    data: Dataset,
    *,
    tensors: Snapshot,
    about: Mapping[str, Any],
    bits: int,
    finetuning_epochs: int | None,
    verify: str,
) -> Exported:
    """Quantise a network, and write and check its files; see `output.export_model`.

    Args:
        data: The data set of the training.
        tensors: The trained network.
        about: The other fields of its `TrainedModel`.
        bits: The width; see `QuantizedModel.of`.
        finetuning_epochs: See `QuantizedModel.of`.
        verify: See `output.export_model`.

    Raises:
        UserError: If integers cannot represent the network, a tool fails, or the
            implementations differ.
    """
    trained = TrainedModel(network_from(tensors), **about)
    model = QuantizedModel.of(
        trained, data, bits=bits, finetuning_epochs=finetuning_epochs
    )
    with TemporaryDirectory() as temporary:
        exported = export_model(model, Path(temporary), verify=verify)
    if problems := exported.differences:
        raise UserError(f"the implementations differ: {'; '.join(problems)}")
    return exported
