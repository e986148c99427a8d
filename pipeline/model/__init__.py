"""The network, its files, its metrics, and the out-of-distribution detector."""

from pipeline.model.components import load_components, store_components
from pipeline.model.network import (
    Network,
    Snapshot,
    batches,
    network_from,
    parameter_count,
    snapshot,
    to_pixels,
)
from pipeline.model.ood import OodDetector, fit_components, smallest_margin
from pipeline.model.records import read_metrics, read_run_file
from pipeline.model.storage import (
    load_network,
    save_history,
    save_model,
    tensors_sha256,
)
from pipeline.model.trained_model import TrainedModel, load_trained_model
