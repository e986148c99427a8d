"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra. Each step makes a frozen object for the next:

1. `command` reads the flags of a command line, `items` the values of keys and choices
   of groups: words of the command line, or keywords of a call from Python. The types
   of the keywords are in `keywords`.
2. `values` parses the text of a value: one, several for a sweep, or an interval.
3. `composition` merges the files that Hydra selects, once for each choice of groups;
   `hydra_files` asks Hydra for them, and `source` reads them and rejects what could run
   code.
4. `grid` replaces the values of files by those that are given, and lists the
   combinations.
5. `config` checks each value with the `schema` of the stage, `rules` checks several
   values together.

`arguments` calls these steps and makes a `Command`, with which `entry` runs a stage or
a sweep. A call from Python gets it from `entry`, too. The types of flags, intervals and
commands are in `command`. Each step raises a `ConfigError`; `arguments` collects their
lines, and raises one error with all of them.
"""

from pipeline.cli.command import Combination, Command, Interval
from pipeline.cli.config import as_yaml, validate
from pipeline.cli.default_values import committed_defaults, defaults, expected_params
from pipeline.cli.entry import documented, from_python, stage, sweep_from_python
from pipeline.cli.keywords import (
    Array,
    DataSettings,
    EvaluateSettings,
    ExportSettings,
    GradeSettings,
    HomeworkSettings,
    InspectSettings,
    PredictSettings,
    SweepSettings,
    SyncSettings,
    TrainSettings,
)
from pipeline.cli.names import network_name, run_name
from pipeline.cli.schema import (
    CommonSweepConfig,
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
