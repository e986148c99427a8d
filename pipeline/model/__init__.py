"""The network, its files, its metrics, and the out-of-distribution detector."""

from pipeline.model.network import Dense, Network, ParameterArray, to_pixels
from pipeline.model.ood import OodDetector, Verdict, fit_detector
from pipeline.model.storage import (
    TrainedModel,
    load_model,
    load_trained_model,
    save_history,
    save_model,
    snapshot,
)

__all__ = [
    "Dense",
    "Network",
    "OodDetector",
    "ParameterArray",
    "TrainedModel",
    "Verdict",
    "fit_detector",
    "load_model",
    "load_trained_model",
    "save_history",
    "save_model",
    "snapshot",
    "to_pixels",
]
