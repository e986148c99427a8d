"""A trained network: its files, its metadata, the out-of-distribution detector.

`trained_network` reads a network, `history_files` reads its weights and metrics by
epoch, and `storage` defines the format of the files. `selection` finds the network that
a command uses, and `ood` checks its predictions.
"""

from pipeline.model.history_files import HistoryFiles, load_history_files
from pipeline.model.ood import Detector, MissingDetector, OodDetector
from pipeline.model.selection import (
    load_detector,
    load_training_data,
    locked_network,
    select_network,
)
from pipeline.model.storage import (
    Metadata,
    WeightHistory,
    load_network,
    save_network,
    save_weight_history,
)
from pipeline.model.trained_network import (
    NetworkFile,
    TrainedNetwork,
    load_recorded_network,
    load_trained_network,
)
