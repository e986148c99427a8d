"""A trained network: its files, its metadata, the out-of-distribution detector."""

from pipeline.model.agreement import agreement
from pipeline.model.ood import Detector, MissingDetector, OodDetector
from pipeline.model.selection import (
    load_detector,
    load_recorded_model,
    load_training_data,
    select_trained_model,
)
from pipeline.model.storage import (
    Metadata,
    WeightHistory,
    load_network,
    save_model,
    save_weight_history,
)
from pipeline.model.trained_model import (
    TrainedModel,
    load_recorded_network,
    load_trained_model,
)
