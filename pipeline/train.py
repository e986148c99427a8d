"""Train the 784 -> hidden -> 10 network, and record every number of it in MLflow.

Reads outputs/data/<dataset>.safetensors (fetched where it is missing); writes to
outputs/train/ the network, its history, metrics, learning curves and the id of its
MLflow run. With the defaults about 12 s on one core, and about 97.7 % right on the
training images and 96 % on the test images, which `split=exercise` watches.
"""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pipeline.cli import (
    ConfigError,
    RunContext,
    TrainConfig,
    as_yaml,
    outputs_dir,
    probability_bars,
    progress_bar,
    run_name,
    source_hashes,
    stage,
    store_dir,
    validate,
)
from pipeline.sweeps import run_sweep

if TYPE_CHECKING:
    from pipeline.datasets.dataset import Dataset
    from pipeline.model.network import Network
    from pipeline.tracking import Run
    from pipeline.training.loop import Epoch
    from pipeline.training.reproduction import RecordedTraining


def train(cfg: TrainConfig, trial: RunContext | None = None) -> None:
    """Load, build, fit, write, in this order."""
    import torch

    from pipeline import datasets, files, tracking
    from pipeline.model import ood, storage
    from pipeline.model.network import Network, to_pixels
    from pipeline.tracking import provenance
    from pipeline.training import checkpoints
    from pipeline.training.checkpoints import EpochState
    from pipeline.training.loop import Adam, fit, score
    from pipeline.training.recorder import Recorder
    from pipeline.training.reproduction import RecordedTraining

    trial = trial or RunContext()  # here, because PIPELINE_OUTPUTS may change
    torch.set_num_threads(1)  # sums in one order: the same bytes on 1 core and on 2
    torch.set_flush_denormal(True)  # a tenth faster, and no bit of the weights differs
    original = (
        RecordedTraining.of(cfg.reproduce, store=store_dir()) if cfg.reproduce else None
    )
    if original:
        cfg = _as_recorded(original, cfg)
        dataset = original.dataset(outputs_dir() / "data")
    else:
        dataset = datasets.load(cfg.dataset, folder=outputs_dir() / "data")
    split = dataset.split(cfg.split)
    if cfg.batch_size > len(split.train):
        raise ValueError(
            f"batch_size must be <= {len(split.train)}, the training pictures of "
            f"{dataset.name}, got {cfg.batch_size}"
        )
    generator = torch.Generator().manual_seed(cfg.seed)
    network = Network(hidden=cfg.hidden, generator=generator)
    adam = Adam(network, lr=cfg.lr)
    numbers = cfg.hyperparameters()
    about = numbers | {"data_sha256": dataset.sha256}
    apart = {"reproduces": cfg.reproduce, "sweep": trial.tags.get("sweep")}
    digest = checkpoints.training_digest(
        about | apart
    )  # these take over no other's run
    folder = trial.folder / ("reproduce" if original else "train")
    name = trial.name or run_name(numbers | {"dataset": dataset.name})
    tags = {"data.sha256": dataset.sha256, **trial.tags}
    if original:
        name += " again"
        tags["reproduces"] = original.run.run_id
    print(f"{name}: 784 -> {cfg.hidden} -> 10, {network.size:,} numbers to be learned")
    tracker = tracking.open_tracker(cfg.tracking, store_dir(), server=cfg.server)
    with (
        checkpoints.open_checkpoint(
            store_dir() / "checkpoints", digest, resume=cfg.resume
        ) as claim,
        tracker.start_run(
            name=name, params=numbers, tags=tags, lease=claim.name
        ) as run,
        _ctrl_c() as stop,
    ):
        run.log_dataset(
            dataset.name,
            sha256=dataset.sha256,
            source=str(dataset.path),
            counts={"train": len(dataset.train), "test": len(dataset.test)},
            use="training",
        )
        run.log_files("data", datasets.companion_files(dataset.path))
        run.log_text("config.yaml", as_yaml(cfg))
        run.log_text("code.json", json.dumps(source_hashes("train"), indent=1))
        run.log_text("packages.txt", provenance.packages())
        record = Recorder(run, cfg.epochs)
        for moment in claim.restore(network, adam, generator):
            record.add(moment)
        if record.moments:
            reached = record.last.epoch
            print(f"carrying on {run.label} after epoch {reached} of {cfg.epochs}")
        else:
            initial = EpochState.now(network)
            claim.keep(initial, adam, generator)
            record.add(initial)
        epochs = fit(
            network,
            adam,
            train=split.train,
            val=split.val,
            epochs=stop.between(range(record.last.epoch + 1, cfg.epochs + 1)),
            batch_size=cfg.batch_size,
            generator=generator,
        )
        for epoch in _shown(epochs, total=cfg.epochs):
            moment = EpochState.now(network, epoch)
            claim.keep(moment, adam, generator)
            record.add(moment)
        final = {
            f"final/train_{quantity}": value
            for quantity, value in score(network, split.train).items()
        }
        last = record.last.metrics | final
        run.log_metrics(final, step=cfg.epochs, time=record.last.time)
        with files.atomic_folder(folder) as written:
            sha256 = storage.save_model(written / "model.safetensors", network, about)
            ood.save_detector(
                written / "familiar.safetensors",
                ood.fit_detector(network, split.train.images, split.train.labels),
                network=sha256,
            )
            tensors = [moment.tensors for moment in record.moments]
            storage.save_history(written / "history.safetensors", tensors, about)
            record.write(written, final)
            run.log_files("train", sorted(written.iterdir()))
            run.log_model(network, to_pixels(split.val.images[:2]))
            run.set_tags({"weights.sha256": sha256})
            if original:
                equal = sha256 == original.trained.sha256
                run.set_tags({"reproduced": str(equal).lower()})
            run.describe(_description(cfg, dataset, network, last))
    _print_summary(run, folder, dataset, network, last, sha256)
    stop.after_all()
    if original:
        differences = original.differences(
            network,
            last,
            provenance.tags(),
            source_hashes("train"),
            provenance.packages(),
        )
        _print_comparison(original, sha256, differences)


def _as_recorded(original: "RecordedTraining", cfg: TrainConfig) -> TrainConfig:
    """Take the numbers of a run that is to be trained once more."""
    try:
        return validate(TrainConfig, dict(cfg) | original.numbers)
    except ConfigError as error:
        run_id = original.run.run_id
        raise ValueError(f"run {run_id} can't be trained again: {error}") from None


@dataclass
class Stop:
    """Whether the training is to stop at the end of the epoch."""

    wanted: bool = False

    def between(self, epochs: range) -> Iterator[int]:
        """Pass the epochs on, and stop before the next if that is wanted."""
        for epoch in epochs:
            if self.wanted:
                raise KeyboardInterrupt(
                    f"stopped after epoch {epoch - 1}; the same command carries on"
                )
            yield epoch

    def after_all(self) -> None:
        """Stop what would follow a training that had its last epoch behind it."""
        if self.wanted:
            raise KeyboardInterrupt("stopped after the training, which is finished")


@contextmanager
def _ctrl_c() -> Iterator[Stop]:
    """Let the first Ctrl-C wait for the end of the epoch; a second stops at once."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt("stopped; the same command carries on")
        stop.wanted = True
        told = "stopping at the end of this epoch; Ctrl-C again stops at once"
        print(told, file=sys.stderr)

    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # of a worker, which its launcher stops
        signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _shown(epochs: "Iterable[Epoch]", *, total: int) -> "Iterator[Epoch]":
    """Pass the epochs on, with a line for each and, on a terminal, a bar below."""
    from rich.console import Console

    screen = Console(highlight=False, soft_wrap=True)
    with progress_bar(screen) as shown:
        task = shown.add_task("epochs", total=total)
        screen.print("epoch   train loss  accuracy     val loss  accuracy   seconds")
        for epoch in epochs:
            yield epoch
            shown.advance(task)
            screen.print(
                f"{epoch.number:5}       {epoch.metrics['train/loss']:.4f}"
                f"   {epoch.metrics['train/accuracy']:7.2%}"
                f"       {epoch.metrics['val/loss']:.4f}"
                f"   {epoch.metrics['val/accuracy']:7.2%}   {epoch.seconds:7.2f}"
            )


def _description(
    cfg: TrainConfig, dataset: "Dataset", network: "Network", last: dict[str, float]
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
    folder: Path,
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
    print("\n".join(probability_bars(probabilities)))
    print(f"\nfiles  {folder}\n       model.safetensors has sha256 {sha256}")
    print(run.viewing_hint(), end="")


def _print_comparison(
    original: "RecordedTraining", sha256: str, differences: list[str]
) -> None:
    """Say whether the bytes are equal.

    Raises:
        ValueError: If they are not; it says what differs.
    """
    hashes = f"recorded {original.trained.sha256}, now {sha256}"
    told = "".join(f"\n  {line}" for line in differences)
    if sha256 != original.trained.sha256:
        raise ValueError(f"not reproduced: {hashes}{told}")
    print(f"\nreproduced to the byte: {hashes}")
    if told:
        print(f"although there are differences:{told}")


if __name__ == "__main__":
    stage(train, TrainConfig, sweep=run_sweep)
