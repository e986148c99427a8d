"""Train the 784 -> hidden -> 10 network, and record every number of it in MLflow.

Reads outputs/data/<dataset>.safetensors (fetched where it is missing); writes to
outputs/train/ the network, its history, metrics, learning curves and the id of its
MLflow run. With the defaults about 12 s on one core, and about 97.7 % right on the
training images and 96 % on the test images, which `split=exercise` watches.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import OUTPUTS, Train, as_yaml, stage, store

if TYPE_CHECKING:
    from pipeline.checkpoint import Snapshot
    from pipeline.datasets import Dataset
    from pipeline.loop import Epoch
    from pipeline.network import Network
    from pipeline.tracking import Run

FOLDER = OUTPUTS / "train"
PICTURES = 20  # steps on the slider of the templates at most, beside the initial ones


def train(cfg: Train) -> None:
    """Load, build, fit, write, in this order."""
    import torch

    from pipeline import atomic, checkpoint, datasets, tracking
    from pipeline.loop import Adam, fit, score
    from pipeline.network import Network, to_pixels

    torch.set_num_threads(1)  # sums in one order: the same bytes on 1 core and on 2
    torch.set_flush_denormal(True)  # a tenth faster, and no bit of the weights differs
    dataset = datasets.load(cfg.dataset, folder=OUTPUTS / "data")
    split = dataset.split(cfg.split)
    if cfg.batch_size > len(split.train):
        raise ValueError(
            f"batch_size must be <= {len(split.train)}, the training pictures of "
            f"{dataset.name}, got {cfg.batch_size}"
        )
    generator = torch.Generator().manual_seed(cfg.seed)
    network = Network(hidden=cfg.hidden, generator=generator)
    about = cfg.model_dump(exclude={"tracking"}) | {"data_sha256": dataset.sha256}
    with tracking.run(
        store=store(cfg.tracking),
        name=_name(cfg, dataset),
        params=cfg.model_dump(exclude={"tracking"}),
        tags={"data.sha256": dataset.sha256},
    ) as run:
        run.log_dataset(datasets.summary(dataset.path), source=str(dataset.path))
        run.log_files("data", datasets.companions(dataset.path))
        run.log_text("config.yaml", as_yaml(cfg))
        run.log_text("packages.txt", tracking.packages())
        past = Past(run, cfg.epochs)
        past.add(checkpoint.snapshot(network), epoch=0)
        epochs = fit(
            network,
            Adam(network, lr=cfg.lr),
            train=split.train,
            val=split.val,
            epochs=range(1, cfg.epochs + 1),
            batch_size=cfg.batch_size,
            generator=generator,
        )
        for epoch in _shown(epochs, total=cfg.epochs):
            past.add(checkpoint.snapshot(network), epoch.number, epoch.metrics)
            run.log_metrics({"train/seconds": epoch.seconds}, step=epoch.number)
        final = {
            f"final/train_{quantity}": value
            for quantity, value in score(network, split.train).items()
        }
        run.log_metrics(final, step=cfg.epochs)
        with atomic.folder(FOLDER) as folder:
            sha256 = checkpoint.save(folder / "model.safetensors", network, about)
            checkpoint.save_history(folder / "history.safetensors", past.tensors, about)
            past.write(folder, final)
            run.log_files("train", sorted(folder.iterdir()))
            run.log_model(network, to_pixels(split.val.images[:2]))
            run.set_tags({"weights.sha256": sha256})
            run.describe(_description(cfg, dataset, network, past.metrics[-1] | final))
    _print_summary(run, dataset, network, past.metrics[-1] | final, sha256)


@dataclass
class Past:
    """What a training was after each epoch, told to its run and kept for its files."""

    run: "Run"
    epochs: int  # that there will be
    tensors: list["Snapshot"] = field(default_factory=list)  # the initial ones first
    metrics: list[dict[str, float]] = field(default_factory=list)

    def add(
        self, tensors: "Snapshot", epoch: int, metrics: dict[str, float] | None = None
    ) -> None:
        """Take in an epoch; number 0 is the network before it learned anything."""
        from pipeline.figures import templates
        from pipeline.metrics import tensor_statistics

        self.tensors.append(tensors)
        if metrics is not None:
            self.metrics.append(metrics)
        self.run.log_metrics((metrics or {}) | tensor_statistics(tensors), step=epoch)
        if epoch in (0, self.epochs) or epoch % -(-self.epochs // PICTURES) == 0:
            title = f"after epoch {epoch}" if epoch else "initial weights"
            picture = templates(tensors["layer_1.weight"], tensors, title=title)
            self.run.log_image("weights/templates", picture, step=epoch)

    def write(self, folder: Path, final: dict[str, float]) -> None:
        """Write numbers and curves; equal trainings write equal bytes, but for the id.

        Times stay out of these files for that reason; they are metrics of the run.
        """
        from pipeline.figures import learning_curves

        last = self.metrics[-1] | final
        (folder / "metrics.json").write_text(json.dumps(last, indent=1) + "\n")
        with (folder / "history.csv").open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["epoch", *self.metrics[0]])
            for epoch, metrics in enumerate(self.metrics, start=1):
                table.writerow([epoch, *metrics.values()])
        learning_curves(self.metrics).save(folder / "learning_curves.png")
        (folder / "run.json").write_text(json.dumps({"run_id": self.run.id}) + "\n")


def _name(cfg: Train, dataset: "Dataset") -> str:
    where = "" if dataset.name == "mnist" else f" {dataset.name}"
    return f"hidden={cfg.hidden} seed={cfg.seed}{where}"


def _shown(epochs: "Iterable[Epoch]", *, total: int) -> "Iterator[Epoch]":
    """Pass the epochs on, with a line for each and, on a terminal, a bar below."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    screen = Console(highlight=False, soft_wrap=True)
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("epochs", total=total)
        screen.print("epoch   train loss  accuracy     val loss  accuracy   seconds")
        for epoch in epochs:
            yield epoch
            bar.advance(task)
            screen.print(
                f"{epoch.number:5}       {epoch.metrics['train/loss']:.4f}"
                f"   {epoch.metrics['train/accuracy']:7.2%}"
                f"       {epoch.metrics['val/loss']:.4f}"
                f"   {epoch.metrics['val/accuracy']:7.2%}   {epoch.seconds:7.2f}"
            )


def _description(
    cfg: Train, dataset: "Dataset", network: "Network", last: dict[str, float]
) -> str:
    return (
        f"**784 → {cfg.hidden} → 10** on {dataset.name}: {network.size:,} parameters, "
        f"{cfg.epochs} epochs. The finished network reads "
        f"**{last['final/train_accuracy']:.2%}** of its training pictures rightly and "
        f"**{last['val/accuracy']:.2%}** of those watched (split={cfg.split}).\n\n"
        "Model metrics: the curves, and how the four tensors grew. Artifacts: "
        "`train/history.safetensors` holds all four after every epoch, exactly; "
        "the templates on a slider show those of layer_1."
    )


def _print_summary(
    run: "Run",
    dataset: "Dataset",
    network: "Network",
    last: dict[str, float],
    sha256: str,
) -> None:
    print(
        "\n              loss   accuracy\n"
        f"train       {last['final/train_loss']:.4f}   "
        f"{last['final/train_accuracy']:8.2%}   of the finished network\n"
        f"validation  {last['val/loss']:.4f}   {last['val/accuracy']:8.2%}\n"
    )
    probabilities = network.predict(dataset.test.images[:1])[0].tolist()
    answer = max(range(10), key=probabilities.__getitem__)
    print(f"test image 0 is read as {answer}; its label is {dataset.test.labels[0]}")
    for digit, probability in enumerate(probabilities):
        print(
            f"  {digit}  {probability:8.3%}  {'█' * round(40 * probability)}".rstrip()
        )
    print(f"\nfiles  {FOLDER}\n       model.safetensors has sha256 {sha256}")
    print(run.epilogue(), end="")


if __name__ == "__main__":
    stage(train, Train)
