"""Messages about a run that the stages print.

Runs in the main process.
"""

from pipeline.base.terminal import say
from pipeline.base.text import wrap


def announce_kept_name(name: str, run_name: str | None) -> None:
    """Print a message if the continued run `name` is not named `run_name`."""
    # A run can have the name "<run_name> #2".
    if run_name and not f"{name} #".startswith(f"{run_name} #"):
        say("run_name has no effect: this run was started with a different name")


def viewing_hint(label: str) -> str:
    """Return lines with a run and the command that shows it; see `OpenRun.label`."""
    run = wrap(label, indent=7, start="run    ")
    return f"{run}\nview   python -m pipeline.ui\n"
