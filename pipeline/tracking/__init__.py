"""Records runs: MLflow's embedded store, its mirror on a server, and provenance.

This is the only package that uses MLflow. Stages use `open_tracker` and `interface`.
"""

from pipeline.tracking import provenance, sources
from pipeline.tracking.backend import (
    find_sweep,
    find_training_run,
    open_tracker,
    prepared_recording,
    sync_runs,
)
from pipeline.tracking.interface import (
    RecordedRun,
    Run,
    Tracker,
    lease_lock,
)
from pipeline.tracking.mirror import server_address
from pipeline.tracking.ui import serve_ui
