"""The description on the page of a training run in MLflow: its network, and links."""

from collections.abc import Mapping
from typing import Any

from pipeline.model import parameter_count
from pipeline.tracking import Run


def describe_training(
    run: Run,
    settings: Mapping[str, Any],
    metrics: Mapping[str, float],
    *,
    dataset: str,
    images: bool,
) -> None:
    """Set the description of a run, which may have images of the weights.

    `settings` are the hyperparameters, and `metrics` the content of metrics.json.
    """
    hidden, epochs = settings["hidden"], settings["epochs"]
    duration = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    curves = run.link("Model metrics", "model-metrics")
    slider = run.link("images, with a slider for the epoch", "model-metrics")
    history = run.link("history.csv", "artifacts/train/history.csv")
    run.describe(
        f"A network 784 → {hidden} → 10 with {parameter_count(hidden):,} "
        f"parameters, trained on {dataset} for {duration}. It classifies "
        f"**{metrics['train/final_accuracy']:.2%}** of the training images and "
        f"**{metrics['val/accuracy']:.2%}** of the validation images correctly "
        f"(split={settings['split']}; {best_epoch(metrics)}).",
        {
            "Interactive page": "to create it, run "
            f"`python -m pipeline.inspect run={str(run.id)[:8]}`",
            "Learning curves": f"{curves}, {history}",
            **({"Weights of layer 1": slider} if images else {}),
        },
    )


def best_epoch(metrics: Mapping[str, float]) -> str:
    """Describe the epoch with the highest validation accuracy."""
    best, epoch = metrics["val/best_accuracy"], metrics["val/best_epoch"]
    return f"best: {best:.2%} after epoch {epoch:.0f}"
