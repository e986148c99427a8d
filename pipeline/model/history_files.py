"""The history files next to a network: the weights and the metrics of all epochs.

A network that was copied elsewhere may have none. `read_training_run` requires both,
and returns each `Epoch`.
"""

from dataclasses import dataclass

from pipeline.model.storage import WeightHistory, load_weight_history
from pipeline.model.trained_network import NetworkFile
from pipeline.records.file_names import HISTORY_FILE, WEIGHT_HISTORY_FILE
from pipeline.records.run_files import History, belongs_elsewhere, read_history


@dataclass(frozen=True, eq=False)
class HistoryFiles:
    """The content of the history files in their layout; None if there is no file.

    The weights of all epochs are one array for each tensor, as `inspect` computes with
    them. `read_training_run` makes epochs whose tensors are views of these arrays.
    """

    weights: WeightHistory | None = None  # the tensors of all epochs, from 0, by name
    metrics: History | None = None  # the content of history.csv


def load_history_files(trained: NetworkFile) -> HistoryFiles:
    """Read the history files in the folder of a trained network.

    Raises:
        UserError: If a file is damaged, or has the weights or the number of epochs of
            another training run.
    """
    weights = None
    epochs = trained.params.get("epochs")
    path = trained.path.with_name(WEIGHT_HISTORY_FILE)
    if path.exists():
        weights = load_weight_history(path, network=trained.network)
        recorded = len(weights["layer_1.bias"]) - 1
        if epochs not in (None, recorded):
            raise belongs_elsewhere(path)
        epochs = recorded
    path = trained.path.with_name(HISTORY_FILE)
    metrics = read_history(path, epochs=epochs) if path.exists() else None
    return HistoryFiles(weights, metrics)
