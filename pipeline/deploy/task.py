"""The task of a worker: export a network with one width, and return its files.

The nodes of a cluster share no folder with the driver, so the files travel as bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline import UserError
from pipeline.datasets import Dataset
from pipeline.deploy.checks import Check
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.output import export_model, report
from pipeline.deploy.quantized import QuantizedModel
from pipeline.deploy.text import differences
from pipeline.model import Snapshot, TrainedModel, network_from, snapshot


@dataclass(frozen=True)
class Exported:
    """A quantised network without its data, and the files of its export."""

    tensors: Snapshot  # of the network that was rounded
    integers: IntegerNetwork
    finetuning_epochs: int
    report: Mapping[str, Any]  # see `output.report`
    checks: Sequence[Check]
    files: Mapping[str, bytes]  # by name

    def model(self, trained: TrainedModel, dataset: Dataset) -> QuantizedModel:
        """Return the quantised network with the trained network and its data set."""
        network = network_from(self.tensors)
        return QuantizedModel(
            trained, dataset, network, self.integers, self.finetuning_epochs
        )

    def write(self, folder: Path) -> list[Path]:
        """Write the files to a folder, which is created; return their paths."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in self.files]


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
        checks = export_model(model, Path(temporary), verify=verify)
        if problems := differences(model, checks):
            raise UserError(f"the implementations differ: {'; '.join(problems)}")
        paths = sorted(Path(temporary).iterdir())
        contents = {path.name: path.read_bytes() for path in paths}
    return Exported(
        snapshot(model.network),
        model.integers,
        model.finetuning_epochs,
        report(model),
        checks,
        contents,
    )
