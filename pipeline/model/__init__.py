"""The network, its files, its metrics, and the out-of-distribution detector."""

from pipeline.model.network import Dense, Network, ParameterArray, to_pixels
from pipeline.model.ood import OodDetector, Verdict, fit_detector
from pipeline.model.storage import (
    Snapshot,
    load_model,
    network_from,
    read_tensors,
    save_history,
    save_model,
    snapshot,
    write_tensors,
)
from pipeline.model.trained import TrainedModel, load_trained_model

__all__ = [
    "Dense",
    "Network",
    "OodDetector",
    "ParameterArray",
    "Snapshot",
    "TrainedModel",
    "Verdict",
    "fit_detector",
    "load_model",
    "load_trained_model",
    "network_from",
    "read_tensors",
    "save_history",
    "save_model",
    "snapshot",
    "to_pixels",
    "write_tensors",
]
