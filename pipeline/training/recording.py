"""Records a finished training run, of the stage train or of a sweep.

The functions of `log` run where the run is recorded; these pass them what they need.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.model.program import export_network
from pipeline.tracking import OpenRun
from pipeline.training.log import (
    describe_best,
    log_details,
    log_result,
    ordered,
    tensor_statistics,
)
from pipeline.training.training_run import TrainingRun


def record_result(run: OpenRun, training: TrainingRun, folder: Path) -> None:
    """Write a finished training run to a folder, and record its scores."""
    training.write(folder, run_id=run.run_id)
    network = training.network
    sizes = network.sizes.replace("->", "→")
    run.submit(
        log_result,
        training.params,
        training.metrics["val/accuracy"],
        training.final_metrics,
        network=f"{sizes} with {network.parameter_count:,} parameters",
        best=describe_best(training.best_epoch),
        time=training.epochs[-1].time,
        sha256=training.sha256,
    )


def record_details(run: OpenRun, training: TrainingRun, network: Path) -> None:
    """Record the program of a network, exported from its file; see `log_details`."""
    statistics = [
        (e.number, e.time, tensor_statistics(e.tensors)) for e in training.epochs
    ]
    last = training.epochs[-1]
    metrics = [
        (0, last.time, training.final_metrics),
        (last.number, last.time, ordered(last.metrics)),
    ]
    with TemporaryDirectory() as folder:
        exported = Path(folder, "model.pt2")
        export_network(network, exported, hidden=training.hyperparameters.hidden)
        run.submit(
            log_details,
            network,
            exported,
            statistics,
            metrics,
            (training.dataset, training.data_sha256),
        )
        run.wait()
