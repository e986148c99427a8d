"""Reserved names: the names of tags, columns and arguments.

The option of a config group becomes a tag and a column, so a group must not have one of
these names.
"""

from pipeline.base import tags

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
