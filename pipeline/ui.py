"""Shows the recorded runs in a browser, in MLflow's UI.

Reads the tracking store in outputs/ and opens the list of runs or, with run=<id>, the
page of that run. By default, the list shows the experiment of the newest run; the
environment variable MLFLOW_EXPERIMENT_NAME selects another experiment.

The server uses port 5000 or, if another program uses that port, a free port. It starts
in about 3 s, is accessible only from this machine and runs until you press Ctrl-C.
"""

from typing import Unpack

from pipeline.cli import Command, UiConfig, UiKeywords, documented, from_python, main


@documented(UiConfig, UiKeywords)
def ui(**settings: Unpack[UiKeywords]) -> None:
    """Show the recorded runs, like `python -m pipeline.ui`.

    The function returns after Ctrl-C.

    Args:
        settings: Keyword arguments, such as browser=False; they are listed below.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If the store or the run cannot be used.
    """
    run_ui(from_python(UiConfig, settings))


def run_ui(command: Command[UiConfig]) -> None:
    """Start the server, open the browser, and wait for Ctrl-C."""
    from pipeline.tracking import import_mlflow

    import_mlflow()
    from pipeline.tracking.ui import ui

    ui(run=command.config.run, browser=command.config.browser)


if __name__ == "__main__":
    main(run_ui, UiConfig)
