"""Reserved names: the names of settings, tags, columns and arguments.

The option of a config group becomes a tag and a column, so a group must not have one of
these names.
"""

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.flags import Flags
from pipeline.cli.schema import KEYS
from pipeline.records import tags

TAGS = frozenset(text for name, text in vars(tags).items() if name.endswith("_TAG"))
# The columns of the results of a sweep.
COLUMNS = frozenset(
    {
        *("parameters", "seconds", "status", "run_id", "error"),  # SweepResult.rows()
        *("trained", "bytes", "failed"),  # sweep.csv
        # sizes.csv
        *("accuracy", "float_accuracy", "same_predictions", "table_bytes", "folder"),
        "val_accuracy",  # in the representation of an outcome
    }
)
# The keywords of the functions, such as train(), that are not settings.
ARGUMENTS = frozenset({"folder", "on_epoch", "on_result", "quiet"})
RESERVED = {
    "setting": KEYS,
    "tag of this project": TAGS,
    "column of the results of a sweep": COLUMNS,
    "keyword of the function of a stage": ARGUMENTS,
}


def check_groups(flags: Flags) -> None:
    """Raise a ConfigError if a config group has a reserved name."""
    for what, names in RESERVED.items():
        for name in sorted({*flags.groups} & names):
            folder = next(x for x in flags.folders if (x / name).is_dir())
            raise ConfigError(
                f"a group must not have the name of a {what}: "
                f"rename the folder {name} in {displayed(folder)}"
            )
