"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra; only `hydra_internals` uses undocumented parts
of Hydra. A command passes through these modules:

1. `command` reads the flags, which select `folders`. `given` reads all other
   arguments, or the keywords of a call from Python. `values` parses each setting, which
   has one value, several values for a sweep, or an interval.
2. `composition` merges the files that Hydra selects, once for each combination of
   options, and replaces values of files with given values. `hydra_files` asks Hydra for
   the files, and `source` reads each file and rejects content that could run code. The
   result is a `Part` for each combination of options; `settings` lists the combinations
   of its values.
3. `config` checks each value against the `schema` of the stage, and `rules` checks
   several values together.

`arguments` calls these modules and makes a `Command`, with which `entry` runs a stage
or a sweep. Each problem is a line of a `ConfigError`. `arguments` collects all problems
and raises one error. `keywords` has the types of the keywords of calls.
"""

from pipeline.cli.command import Combination, Command, Interval
from pipeline.cli.config import validate
from pipeline.cli.default_values import committed_defaults, defaults, expected_params
from pipeline.cli.entry import documented, from_python, stage, sweep_from_python
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
