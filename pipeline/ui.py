"""Show the recorded runs in a browser, in MLflow's UI.

Reads MLflow's store in outputs/ and opens the list of the trained networks or, with
run=<id>, the page of that run. By default, the list shows the experiment of the newest
run; the environment variable MLFLOW_EXPERIMENT_NAME selects another one.

The server uses port 5000 or, if another program uses that port, a free one. It is
accessible only from this machine and runs until you press Ctrl-C. Starts in 3 s.
"""

import threading
import webbrowser
from contextlib import ExitStack, suppress

from pipeline.cli import UiConfig, stage
from pipeline.paths import store_dir
from pipeline.terminal import status


def ui(cfg: UiConfig) -> None:
    """Start the server, open the browser, and wait for Ctrl-C."""
    from pipeline import tracking

    with suppress(KeyboardInterrupt), ExitStack() as stack:
        with status("starting MLflow's UI"):
            server = tracking.serve_ui(store_dir(), run=cfg.run)
            address = stack.enter_context(server)
        print(f"{address}\nPress Ctrl-C to stop.", flush=True)
        if cfg.browser and not webbrowser.open(address):
            print("no browser was found: open this address in one", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    stage(ui, UiConfig)
