"""Records runs: the store, copies on a server, and provenance.

The store is MLflow's database and artifacts, in `outputs/`. Only this package uses
MLflow. Importing MLflow takes a second, so processes share the work:

    object           process                how long               module
    Tracker          main process           the command            tracker
    OpenRun          main process           the block of a run     open_run
    CopyingProcess   main process           the block of a run     copying_process
    MlflowRun        recorder               the block of a run     mlflow_run
    Copies, Sender   copying process        until it ends          copies/
    RecordedRun      any process            a state that was read  store/database

The recorder is the recording process of `train`, or the main process if there is none.
The recording process is also the copying process of its run, in a second thread. The
docstring of each module says in which process it runs.

To open a run, the main process sends a `RunStart` to the recorder, which calls a
function of the module `recorder` and responds with a `RunInfo`: ID, name and folder,
which are also fields of `MlflowRun` and `RecordedRun`. Then `OpenRun.record` sends
functions, which are called with the `MlflowRun`. `Tracker.is_recorded` says whether
runs are recorded; otherwise, the open run is an `UnrecordedRun`, which drops all data.

`run_data` defines the data that other packages record, `description` and `messages`
contain texts about runs, `sync` copies earlier runs to a server, and `server_request`
asks a server for a run.

Processes import MLflow with `store/mlflow_calls.py`, which turns its telemetry off.
These modules import MLflow: `mlflow_run.py`, `logged_model.py`, `classifier.py`,
`ui.py` and `ui_server.py`; in `copies/`, `copies.py` and `sender.py`; in `store/`,
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
from pipeline.tracking.store.locks import store_lock
from pipeline.tracking.store.mlflow_calls import import_mlflow
from pipeline.tracking.tracker import (
    Tracker,
    end_transactions,
    new_tracker,
    start_tracker,
)
