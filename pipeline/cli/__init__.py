"""From the command line to a validated configuration, and text on the terminal.

The only package that uses Hydra.
"""

from pipeline.cli.command import stage
from pipeline.cli.config import (
    HYPERPARAMETERS,
    ConfigError,
    DataConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    RunContext,
    SyncConfig,
    TrainConfig,
    as_yaml,
    defaults,
    run_name,
    source_hashes,
    validate,
)
from pipeline.cli.paths import outputs_dir, store_dir
from pipeline.cli.terminal import probability_bars, progress, progress_bar, table

__all__ = [
    "HYPERPARAMETERS",
    "ConfigError",
    "DataConfig",
    "EvaluateConfig",
    "InspectConfig",
    "PredictConfig",
    "RunContext",
    "SyncConfig",
    "TrainConfig",
    "as_yaml",
    "defaults",
    "outputs_dir",
    "probability_bars",
    "progress",
    "progress_bar",
    "run_name",
    "source_hashes",
    "stage",
    "store_dir",
    "table",
    "validate",
]
