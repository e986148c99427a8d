"""A message about a run that the stages print.

Runs in the main process.
"""

from pipeline.base.terminal import say


def announce_kept_name(name: str, run_name: str | None) -> None:
    """Print a message if the continued run `name` is not named `run_name`."""
    # A run can have the name "<run_name> #2".
    if run_name and not f"{name} #".startswith(f"{run_name} #"):
        say("run_name has no effect: this run was started with a different name")
