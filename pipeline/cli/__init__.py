"""The command line, the validated configuration of a stage, and terminal output.

This is the only package that uses Hydra.
"""

from pipeline.cli.arguments import Job
from pipeline.cli.command import stage
from pipeline.cli.config import (
    ConfigError,
    as_yaml,
    defaults,
    run_name,
    source_hashes,
    validate,
)
from pipeline.cli.launch import LaunchJobs, RunContext, record_failure
from pipeline.cli.paths import outputs_dir, store_dir
from pipeline.cli.schema import (
    HYPERPARAMETERS,
    DataConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    SyncConfig,
    TrainConfig,
)
from pipeline.cli.terminal import probability_bars, progress, progress_bar, table

__all__ = [
    "HYPERPARAMETERS",
    "ConfigError",
    "DataConfig",
    "EvaluateConfig",
    "InspectConfig",
    "Job",
    "LaunchJobs",
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
    "record_failure",
    "run_name",
    "source_hashes",
    "stage",
    "store_dir",
    "table",
    "validate",
]
