"""The command line and the validated settings of a stage.

This is the only package that uses Hydra; only `hydra_internals` uses undocumented parts
of Hydra. `arguments` turns the arguments into a `Command` in these steps. The last
column shows `hidden` in `train -m hidden=5,0`:

step              result         with hidden
`flags`           `Flags`        -m: a multirun, with the files in conf/
`overrides`       `Overrides`    hidden=5,0 is a setting; `values` parses `Several` 5, 0
`selected_files`  `Composition`  5,0 replaces hidden=20 in conf/config.yaml
`composition`     `Combination`  hidden=5; the other, hidden=0, has an error
`rules`           problems       hidden is combined with no setting that excludes it
`arguments`       `Command`      both combinations, and hidden as varied key

Each config group with several options multiplies the compositions. An interval for a
search stays an `Interval`. `rules` needs all settings, so it is skipped if an argument
or a file cannot be read. All problems are in one `ConfigError`; a sweep may keep
combinations that break a bound (`accepts_invalid_values`).

For `selected_files`, `hydra_files` asks Hydra which files are selected, and
`yaml_files` reads each file and rejects content that could run code. For
`composition`, `validation` checks values against the `schema` of the stage, whose
defaults `default_values` reads. `reserved_names` checks the names of config groups, and
`problems` formats messages.

`stages` runs a stage or a sweep with the `Command`. `command` defines the types of
these steps, and `keywords` the types of keyword arguments.
"""

from pipeline.cli.command import Combination, Command, Interval
from pipeline.cli.default_values import defaults, expected_params
from pipeline.cli.keywords import (
    Array,
    DataKeywords,
    EvaluateKeywords,
    ExportKeywords,
    GradeKeywords,
    HomeworkKeywords,
    InspectKeywords,
    PredictKeywords,
    SweepKeywords,
    SyncKeywords,
    TrainKeywords,
    UiKeywords,
)
from pipeline.cli.schema import (
    CommonTrainConfig,
    DataConfig,
    EvaluateConfig,
    ExportConfig,
    GradeConfig,
    HomeworkConfig,
    InspectConfig,
    PredictConfig,
    SyncConfig,
    TrainConfig,
    UiConfig,
)
from pipeline.cli.stages import documented, from_python, main
from pipeline.cli.validation import validate
