"""The command line and the validated settings of a stage.

This is the only package that uses Hydra; only `hydra_internals` uses undocumented parts
of Hydra. `arguments` creates a `Command` from the arguments, in these steps:

1. `flags` reads the flags, which select folders; `reserved_names` checks the names of
   config groups. `overrides` reads all other arguments, or the keywords of a call from
   Python, as `Overrides`: settings and options of groups. `values` parses the text of a
   setting, which has one value, several values for a sweep, or an interval for a
   search.
2. `selected_files` merges the files that Hydra selects, once for each combination of
   options, and replaces values of files with given values. Each result is a
   `Composition`. `hydra_files` asks Hydra for the files, and `yaml_files` reads each
   file and rejects content that could run code.
3. `rules` checks several settings of a composition together, if steps 1 and 2 had no
   problem; otherwise, settings may be missing.
4. `composition` lists each `Combination` of the values of a composition, and
   `validation` checks it against the `schema` of the stage.
5. If a step had a problem, a `ConfigError` with all problems is raised. A sweep may
   keep combinations that break a bound; see `accepts_invalid_values` in
   `composition`.

`stages` runs a stage or a sweep with the `Command`. `command` defines the types of
these steps, and `keywords` the types of keyword arguments. `default_values` contains
the defaults, and `names` the names of runs.
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
from pipeline.cli.names import network_name, run_name, unusual_keys
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
