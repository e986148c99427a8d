"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra.
"""

from pipeline.cli.arguments import Job
from pipeline.cli.command import stage
from pipeline.cli.config import (
    ConfigError,
    as_yaml,
    defaults,
    outputs_dir,
    run_name,
    store_dir,
    validate,
)
from pipeline.cli.launch import LaunchJobs, RunContext, record_failure
from pipeline.cli.schema import (
    HYPERPARAMETERS,
    DataConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    SyncConfig,
    TrainConfig,
)
