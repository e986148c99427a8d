"""Score a trained network on the validation pictures of its data set.

Reads outputs/train/ (or what run=<id> left) and the data set that the network was
trained with; writes to outputs/evaluate/ metrics.json, answers.csv and confusion.png,
and the same into the MLflow run that trained the network. Takes 4 s; with the defaults
a loss of 0.147 and 95.9 % of 10,000 pictures.
"""

import csv
import json

from pipeline.command import stage
from pipeline.config import OUTPUTS, Look, home


def evaluate(cfg: Look) -> None:
    """Load, compute, write, in this order."""
    import time

    import torch

    from pipeline import atomic, checkpoint, datasets, figures, metrics, tracking

    torch.set_num_threads(1)
    if cfg.run is None:
        trained = checkpoint.load_last(OUTPUTS / "train")
    else:
        known = tracking.recorded(cfg.run, store=home())
        trained = checkpoint.load_trained(known.folder / "train")
    dataset = datasets.load(trained.about["dataset"], folder=OUTPUTS / "data")
    dataset.check(trained.about["data_sha256"])
    val = dataset.split(trained.about["split"]).val
    labels = torch.from_numpy(val.labels).long()
    logits = trained.network.logits(val.images)
    scores = {
        "n": len(val),
        "loss": metrics.cross_entropy(logits, labels).item(),
        "accuracy": metrics.accuracy(logits, labels).item(),
    }
    answers = logits.argmax(dim=1)
    counts = metrics.confusion_matrix(answers, labels, datasets.CLASSES)
    title = f"{dataset.name}: {scores['accuracy']:.2%} of {len(val):,} answered rightly"
    with (
        tracking.run_of_network(
            store=home() if cfg.tracking == "mlflow" else None,
            run_id=trained.run_id,
            weights_sha256=trained.sha256,
        ) as run,
        atomic.folder(OUTPUTS / "evaluate") as written,
    ):
        text = json.dumps({dataset.name: scores}, indent=1)
        (written / "metrics.json").write_text(text + "\n")
        with (written / "answers.csv").open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["label", "answer"])
            table.writerows(zip(labels.tolist(), answers.tolist(), strict=True))
        figures.confusion(counts, title=title).save(written / "confusion.png")
        run.log_files("evaluate", sorted(written.iterdir()))
        run.log_metrics(
            {
                f"evaluate/{dataset.name}/{name}": value
                for name, value in scores.items()
            },
            step=trained.about["epochs"],
            time=time.time_ns() // 1_000_000,
        )
    print(f"{title}; loss {scores['loss']:.4f}")
    print(f"files  {OUTPUTS / 'evaluate'}\n{run.epilogue()}", end="")


if __name__ == "__main__":
    stage(evaluate, Look)
