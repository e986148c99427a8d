"""A recorded training, trained once more, and what differs where the bytes do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn.utils import parameters_to_vector

from pipeline import datasets, tracking
from pipeline.model import Network, TrainedModel, load_trained_model

ENVIRONMENT_TAGS = {  # tags of a run on which the bytes may depend
    "git.commit": "commit",
    "git.dirty": "code that was not committed",
    "version.torch": "PyTorch",
    "version.python": "Python",
    "processor": "processor",
}


@dataclass(frozen=True)
class RecordedTraining:
    """A training as its run recorded it."""

    run: tracking.RecordedRun
    trained: TrainedModel
    metrics: Mapping[str, float]

    @classmethod
    def of(cls, run_id: str, *, store: Path) -> "RecordedTraining":
        """Read what a run recorded.

        Raises:
            ValueError: If the store has no such run, or one that trained no network.
        """
        run = tracking.find_training_run(run_id, store=store)
        files = run.folder / "train"
        metrics = json.loads((files / "metrics.json").read_text())
        return cls(run, load_trained_model(files / "model.safetensors"), metrics)

    @property
    def numbers(self) -> dict[str, Any]:
        """What shaped the network: hidden, seed, dataset, ..."""
        return {k: v for k, v in self.trained.metadata.items() if k != "data_sha256"}

    def dataset(self, folder: Path) -> datasets.Dataset:
        """Load the data set, which must be the very one of the training.

        Raises:
            ValueError: If it is not; it names the files that differ.
        """
        name = self.numbers["dataset"]
        known = self.trained.metadata["data_sha256"]
        path = folder / f"{datasets.file_name(name)}.safetensors"
        whole = path.exists() and path.with_suffix(".json").exists()
        if whole and datasets.file_sha256(path) != datasets.summary(path)["sha256"]:
            raise ValueError(
                f"{path} has sha256 {datasets.file_sha256(path)}, "
                f"and run {self.run.run_id} "
                f"was trained with {known}: python -m pipeline.data "
                f"dataset={name} makes it anew"
            )
        dataset = datasets.load(name, folder=folder)
        if dataset.sha256 == known:
            return dataset
        (recorded,) = (self.run.folder / "data").glob("*.json")
        before = json.loads(recorded.read_text())["origin"]
        now = datasets.summary(dataset.path)["origin"]
        files = _changed(before, now)
        raise ValueError(
            f"{name} is not what run {self.run.run_id} was trained with; other bytes "
            f"are in {', '.join(files) or dataset.path}: bring the data back"
        )

    def differences(
        self,
        again: Network,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        code: Mapping[str, str],
        packages: str,
    ) -> list[str]:
        """Say what differs between the training as it was recorded and as it is now.

        Args:
            again: The network that was trained now.
            metrics: Of that training, as in metrics.json.
            tags: Of its run: commit, versions, processor.
            code: The sha256 of each module that it depends on.
            packages: What is installed, one name==version a line.

        Returns:
            A line for each circumstance that differs; where the weights do too, first
            by how much.
        """
        lines = []
        first, second = (
            parameters_to_vector(network.parameters()).detach().numpy()
            for network in (self.trained.network, again)
        )
        apart = np.abs(second - first)
        if apart.any():
            lines.append(
                f"weights: {np.count_nonzero(apart):,} of {apart.size:,} differ, by "
                f"{apart.max():.2g} at most and {apart.mean():.2g} on average, "
                f"beside an average size of {np.abs(first).mean():.2g}"
            )
            lines += [
                f"{name}: {self.metrics[name]:.4%}, now {metrics[name]:.4%}"
                for name in ("final/train_accuracy", "val/accuracy")
            ]
        for tag, told in ENVIRONMENT_TAGS.items():
            then, now = self.run.tags.get(tag), tags.get(tag)
            if then != now:
                lines.append(f"{told}: {then}, now {now}")
        modules = self.run.folder / "code.json"
        if not modules.exists():
            lines.append("code: not recorded then")
        elif changed := _changed(json.loads(modules.read_text()), code):
            lines.append(f"code: {', '.join(changed)}")
        recorded = (self.run.folder / "packages.txt").read_text()
        before, after = (
            dict(line.split("==") for line in listed.splitlines())
            for listed in (recorded, packages)
        )
        names = {name for name, _ in before.items() ^ after.items()}
        others = [
            f"{name} {before.get(name, 'none')}, now {after.get(name, 'none')}"
            for name in sorted(
                names, key=lambda n: (n not in before, n not in after, n)
            )
        ]
        if others:
            lines.append(f"packages: {'; '.join(others)}")
        if self.run.tags.get("git.dirty") == tags.get("git.dirty") == "true":
            lines.append("code that was not committed: both then and now")
        return lines


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Name the files whose hash is another, or that are in one alone."""
    return [file for file in {**before, **now} if before.get(file) != now.get(file)]
