"""The network, its files, its metrics, and the out-of-distribution detector."""

from pipeline.model.network import Dense, Network, batches, to_pixels
from pipeline.model.ood import OodDetector, Verdict, fit_detector
from pipeline.model.storage import (
    VERSION,
    Snapshot,
    TrainedModel,
    load_network,
    load_trained_model,
    network_from,
    read_metrics,
    read_run_file,
    save_detector,
    save_history,
    save_model,
    snapshot,
    tensors_sha256,
)
