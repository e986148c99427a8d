"""The folders of the project; the environment variable PIPELINE_OUTPUTS moves outputs/.

No other module reads that variable.
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
    """Return the folder of MLflow's store, the checkpoints and the sweeps.

    It is `outputs_dir()`, unless DVC runs an experiment in a temporary copy of the
    project; then it is outputs/ of the project itself, so that these files remain.
    """
    project = os.environ.get("DVC_ROOT")
    if project and "PIPELINE_OUTPUTS" not in os.environ:
        return Path(project) / "outputs"
    return outputs_dir()
