"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra. From a command line to a configuration:

1. `command.stage` is called by the module of a stage; it calls `arguments.parse`.
2. `words` reads the command line: flags, choices of groups, and values as text.
3. `composition` lets Hydra compose the files of each choice; `source` reads them.
4. `values` parses the text of each value: a number, text, several, or an interval.
5. `arguments` replaces values of files by these, and checks each setting of a sweep.
6. `config.validate` applies the `schema` of the stage, and explains what is invalid.

A call from Python starts at `python`, with settings that have the types in `keywords`.
"""

from pipeline.cli.command import Command, Interval, stage
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
