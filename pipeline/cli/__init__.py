"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra.
"""

from pipeline.cli.command import stage
from pipeline.cli.config import (
    as_yaml,
    committed_defaults,
    defaults,
    network_name,
    run_name,
    validate,
)
from pipeline.cli.keywords import (
    Array,
    DataSettings,
    EvaluateSettings,
    ExportSettings,
    InspectSettings,
    PredictSettings,
    SweepSettings,
    SyncSettings,
    TrainSettings,
)
from pipeline.cli.python import from_python, sweep_from_python
from pipeline.cli.schema import (
    TRAINING_KEYS,
    DataConfig,
    EvaluateConfig,
    ExportConfig,
    InspectConfig,
    PredictConfig,
    SyncConfig,
    TrainConfig,
    UiConfig,
)
from pipeline.cli.values import Command, Interval
