"""The names of the metrics of a training run, in MLflow and in metrics.json."""

from collections.abc import Mapping

# `core.loop.fit` combines these names from parts, and imports no other package.
VAL_LOSS = "val/loss"
VAL_ACCURACY = "val/accuracy"
TRAIN_LOSS = "train/loss"  # measured while the weights change
TRAIN_ACCURACY = "train/accuracy"  # the same
SECONDS = "train/seconds"  # `Epoch.seconds`, which include validation
# MLflow's pages show the metrics of an epoch in the order in which a run logs them.
EPOCH_METRICS = (VAL_ACCURACY, VAL_LOSS, TRAIN_ACCURACY, TRAIN_LOSS)
# The prefix of the scores of the trained network on its training images. MLflow sorts
# the sections of charts by name, so these bars follow the learning curves.
FINAL_TRAIN = "with_final_weights/train_"
FINAL_LOSS = f"{FINAL_TRAIN}loss"
FINAL_ACCURACY = f"{FINAL_TRAIN}accuracy"
# The metrics.json of every training run has these metrics.
REQUIRED = (*EPOCH_METRICS, FINAL_LOSS, FINAL_ACCURACY)


def ordered(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of an epoch in the order in which they are logged."""
    return {name: metrics[name] for name in dict.fromkeys([*EPOCH_METRICS, *metrics])}
