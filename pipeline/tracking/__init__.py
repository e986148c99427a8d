"""Records runs: the store, copies on a server, and provenance.

The store is MLflow's database and artifacts, in `outputs/`. Only this package uses
MLflow; most of its modules do not import it.
"""

from pipeline.tracking import provenance
from pipeline.tracking.interface import (
    EpochPoint,
    OpenRun,
    Run,
    RunStart,
    announce_kept_name,
    viewing_hint,
)
from pipeline.tracking.mirror import mirror_run
from pipeline.tracking.runs import (
    find_run,
    find_sweep,
    find_training_run,
    newest_trained,
)
from pipeline.tracking.store.database import (
    RecordedRun,
    children_of,
    complete_runs,
    tagged_runs,
)
from pipeline.tracking.store.locks import store_lock
from pipeline.tracking.tracker import (
    Tracker,
    end_transactions,
    experiment_of,
    new_tracker,
    start_tracker,
)
