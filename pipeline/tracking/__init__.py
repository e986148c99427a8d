"""Records runs: the store, copies on a server, and provenance.

The store is MLflow's database and artifacts, in `outputs/`. Only this package uses
MLflow. Importing MLflow takes a second, so processes share the work:

    process                modules                   objects of an open run
    main process           tracker, recorder, sync   Tracker, HelperRun, Copier
    process that records   run_opener, mlflow_run    RunOpener, MlflowRun
    copying process        copies/                   Copies, Sender

The process that records is the recording process for `train`, and otherwise the main
process. The recording process is also the copying process of its run, in a second
thread. The docstring of each module says in which of these processes it runs.

These modules import MLflow: those of the process that records, except `description.py`;
`classifier.py`; the modules of the command `ui`; in `copies/`, `server_copies.py` and
`sender.py`; in `store/`, `client.py`, `pages.py` and `mlflow_internals.py`.
"""

from pipeline.tracking import provenance
from pipeline.tracking.copier import copy_to_server
from pipeline.tracking.interface import (
    EpochPoint,
    ModelData,
    OpenRun,
    Run,
    RunStart,
)
from pipeline.tracking.messages import announce_kept_name, viewing_hint
from pipeline.tracking.recorder import start_tracker
from pipeline.tracking.runs import find_run, find_training_run
from pipeline.tracking.store.database import (
    RecordedRun,
    children_of,
    metrics_in_database,
    recorded_params,
    tagged_runs,
)
from pipeline.tracking.store.locks import store_lock
from pipeline.tracking.tracker import Tracker, end_transactions, new_tracker
