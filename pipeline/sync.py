"""Copies recorded runs to an MLflow server.

Reads the tracking store in outputs/. Marks runs whose process was killed as KILLED,
then copies all runs. With run=<id>, copies only this run and, if the run is a sweep,
its training runs. Copying takes 1 to 2 s per run, 0.1 to 0.3 s per training run of a
sweep, and 0.1 s if an unchanged copy is already on the server. A copy has the tag
`copy.of` with the ID of its original; metrics, files and times are the same. For each
experiment, the command prints how many runs were copied, how many copies were already
complete, and which runs were skipped and why.
"""

from typing import Unpack

from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    SyncConfig,
    SyncKeywords,
    documented,
    from_python,
    main,
)


@documented(SyncConfig, SyncKeywords)
def sync(*, quiet: bool = False, **settings: Unpack[SyncKeywords]) -> dict[str, str]:
    """Copy recorded runs to an MLflow server, like `python -m pipeline.sync`.

    Args:
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as server="http://..."; they are listed below.

    Returns:
        A dictionary that maps the ID of each run to the URL of its copy.

    Raises:
        ConfigError: If settings are invalid, or the server is missing.
        PartlyFailed: If the server rejected some runs. All other runs are copied first,
            and `error.result` has the URLs of their copies.
        UserError, OSError: If the store cannot be used, or the server does not respond.
    """
    with output(quiet=quiet):
        return run_sync(from_python(SyncConfig, settings))


def run_sync(command: Command[SyncConfig]) -> dict[str, str]:
    """Copy the missing runs, and print the result for each experiment."""
    from pipeline.tracking.sync import sync

    cfg = command.config
    assert cfg.server  # a required setting
    return sync(cfg.server, run=cfg.run)


if __name__ == "__main__":
    main(run_sync, SyncConfig)
