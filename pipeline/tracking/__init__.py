"""Records runs: the store, copies on a server, and provenance.

The store is MLflow's database and artifacts, in `outputs/`. Only this package uses
MLflow. Importing MLflow takes a second, so processes share the work:

    process                modules                     objects
    main process           tracker, open_run,          Tracker, OpenRun
                           copying_process, sync       CopyingProcess
    process that records   recorder, mlflow_run        Run
    copying process        copies/                     Server, Sender

A `Tracker` opens a run as an `OpenRun`. To record data, `OpenRun.submit` passes a
function to the process that records, where `recorder.record` calls it with the `Run`.
This is the recording process for `train`, and otherwise the main process. The recording
process is also the copying process of its run, in a second thread. A run that was read
from the store is a `RecordedRun`, in any process. Like the `Run`, it has the ID, name
and folder of a `RunInfo`, which an `OpenRun` waits for. The docstring of each module
says in which process it runs.
`run_data` defines the data that other packages record, `description` and `messages`
contain texts about runs, and `server_request` asks a server for a run.

Processes import MLflow with `store/entrance.py`, which turns its telemetry off. These
modules import MLflow: `mlflow_run.py`, `logged_model.py`, `classifier.py`, `ui.py` and
`ui_server.py`; in `copies/`, `server.py` and `sender.py`; in `store/`,
`client.py`, `mlflow_internals.py` and `pages.py`.
"""

from pipeline.tracking import provenance
from pipeline.tracking.messages import announce_kept_name
from pipeline.tracking.open_run import OpenRun
from pipeline.tracking.run_data import ModelData, RunStart, StepMetrics
from pipeline.tracking.runs import find_run, find_training_run
from pipeline.tracking.store.database import (
    RecordedRun,
    children_of,
    recorded_params,
    tagged_runs,
)
from pipeline.tracking.store.entrance import import_mlflow
from pipeline.tracking.store.locks import store_lock
from pipeline.tracking.tracker import (
    Tracker,
    end_transactions,
    new_tracker,
    start_tracker,
)
