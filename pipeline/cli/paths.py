"""Where the project's files are; `PIPELINE_OUTPUTS` in the environment moves outputs/.

This is the only module that reads that variable.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF_DIR = ROOT / "conf"


def outputs_dir() -> Path:
    """Return the folder that all stages write to: outputs/, or `PIPELINE_OUTPUTS`."""
    outputs = os.environ.get("PIPELINE_OUTPUTS")
    return Path(outputs).expanduser().resolve() if outputs else ROOT / "outputs"


def store_dir() -> Path:
    """Return the folder of MLflow's store, of checkpoints and of sweeps.

    This is `outputs_dir()`, except where DVC runs an experiment in a temporary copy of
    the project: what outlives the stage then belongs to the project itself.
    """
    project = os.environ.get("DVC_ROOT")
    if project and "PIPELINE_OUTPUTS" not in os.environ:
        return Path(project) / "outputs"
    return outputs_dir()
