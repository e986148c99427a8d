"""Additional results of a training run in MLflow: scores, model and statistics."""

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
from pipeline.training.run import TrainingRun


def add_result(run: OpenRun, training: TrainingRun) -> None:
    """Submit `log_result`; MLflow's page shows its scores first if it comes first."""
    network, end = training.network, training.epochs[-1].time
    sizes = network.sizes.replace("->", "→")
    run.submit(
        log_result,
        training.params,
        training.metrics["val/accuracy"],
        training.final_metrics,
        network=f"{sizes} with {network.parameter_count:,} parameters",
        best=describe_best(training.best_epoch),
        time=end,
        sha256=training.sha256,
    )


def add_details(run: OpenRun, training: TrainingRun, network: Path) -> None:
    """Export a network from its file, and submit `log_details`."""
    statistics = [
        (e.number, e.time, tensor_statistics(e.tensors)) for e in training.epochs
    ]
    with TemporaryDirectory() as folder:
        exported = Path(folder, "model.pt2")
        export_network(network, exported, hidden=training.hyperparameters.hidden)
        last, dataset = training.epochs[-1], (training.dataset, training.data_sha256)
        metrics = [
            (0, last.time, training.final_metrics),
            (last.number, last.time, ordered(last.metrics)),
        ]
        run.submit(log_details, network, exported, statistics, metrics, dataset)
        run.wait()
