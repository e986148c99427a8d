"""The command line and the validated configuration of a stage.

This is the only package that uses Hydra; only `hydra_internals` uses undocumented parts
of Hydra. From arguments to a list of valid combinations:

1. `flags` reads the flags, which select folders. All other arguments, or the keywords
   of a call from Python, are `overrides`: settings, and options of config groups.
   `values` parses the text of a setting, which has one value, several values for a
   sweep, or an interval for a search.
2. `composition` merges the files that Hydra selects, once for each combination of
   options, and replaces values of files with given values. `hydra_files` asks Hydra for
   the files, and `yaml_files` reads each file and rejects content that could run code.
3. `rules` checks several settings of a composition together.
4. `arguments` lists the combinations of the values. `validation` checks each of them
   against the `schema` of the stage.
5. `arguments` collects the problems of all steps, each a line of a `ConfigError`, and
   returns a `Command`, with which `stages` runs a stage or a sweep.

`command` has the types of these steps, and `keywords` has those of the keywords of
calls.
"""

from pipeline.cli.command import Combination, Command, Interval
from pipeline.cli.default_values import (
    committed_defaults,
    defaults,
    expected_params,
    network_name,
    run_name,
)
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
from pipeline.cli.stages import documented, from_python, stage, sweep_from_python
from pipeline.cli.validation import validate
