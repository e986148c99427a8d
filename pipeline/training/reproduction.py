"""Reproduction: train a recorded run again and compare the networks byte by byte.

If the bytes differ, the report says by how much, and what else is different: commit,
code, versions, packages or processor.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn.utils import parameters_to_vector

from pipeline import datasets
from pipeline.datasets import Dataset, file_sha256
from pipeline.model import Network, TrainedModel, load_trained_model
from pipeline.tracking import RecordedRun, find_training_run, provenance

ENVIRONMENT_TAGS = {  # tags of a run on which the bytes may depend
    "git.commit": "commit",
    "git.dirty": "uncommitted code",
    "version.torch": "PyTorch",
    "version.python": "Python",
    "processor": "processor",
}


@dataclass(frozen=True)
class RecordedTraining:
    """A finished training that MLflow recorded."""

    run: RecordedRun
    trained: TrainedModel
    metrics: Mapping[str, float]

    @classmethod
    def load(cls, run_id: str, *, store: Path) -> "RecordedTraining":
        """Read a training from the artifacts of its run.

        Raises:
            ValueError: If the store does not contain the run, or the run no network.
        """
        run = find_training_run(run_id, store=store)
        folder = run.folder / "train"
        trained = load_trained_model(folder / "model.safetensors")
        metrics = json.loads((folder / "metrics.json").read_text())
        return cls(run, trained, metrics)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The settings that determine the network: hidden, seed, dataset, ..."""
        return {k: v for k, v in self.trained.metadata.items() if k != "data_sha256"}

    def load_dataset(self, folder: Path) -> Dataset:
        """Load the data set of the training.

        Raises:
            ValueError: If the data are not the same; the message names the files.
        """
        run_id, name = self.run.run_id, self.hyperparameters["dataset"]
        expected = self.trained.metadata["data_sha256"]
        path = folder / f"{datasets.file_name(name)}.safetensors"
        if path.exists() and path.with_suffix(".json").exists():
            sha256 = file_sha256(path)
            if sha256 != datasets.summary(path)["sha256"]:
                raise ValueError(
                    f"{path} is damaged: it has sha256 {sha256}, and run {run_id} was "
                    f"trained with {expected}; python -m pipeline.data dataset={name} "
                    "makes the file again"
                )
        dataset = datasets.load(name, folder=folder)
        if dataset.sha256 == expected:
            return dataset
        (recorded,) = (self.run.folder / "data").glob("*.json")
        before = json.loads(recorded.read_text())["origin"]
        now = datasets.summary(dataset.path)["origin"]
        changed = ", ".join(_changed(before, now)) or dataset.path
        raise ValueError(
            f"the data of {name} changed since run {run_id} was trained: {changed}; "
            "restore the files"
        )

    def equals(self, sha256: str) -> bool:
        """Return whether the file of the network had the same sha256."""
        return sha256 == self.trained.sha256

    def compare(
        self,
        network: Network,
        sha256: str,
        metrics: Mapping[str, float],
        code: Mapping[str, str],
    ) -> str:
        """Compare this training with its reproduction, and return a report.

        Args:
            network: The network of the reproduction.
            sha256: Of its file.
            metrics: The content of its `metrics.json`.
            code: The sha256 of each module on which a training depends.

        Raises:
            ValueError: If the files of the networks differ; the message is the report.
        """
        hashes = f"recorded {self.trained.sha256}, now {sha256}"
        differences = [
            *self._weight_differences(network, metrics),
            *self._environment_differences(provenance.tags()),
            *self._code_differences(code),
            *self._package_differences(provenance.packages()),
        ]
        lines = "".join(f"\n  {line}" for line in differences)
        if not self.equals(sha256):
            raise ValueError(f"not reproduced: {hashes}{lines}")
        if lines:
            lines = f"\nalthough there are differences:{lines}"
        return f"reproduced byte for byte: {hashes}{lines}"

    def _weight_differences(
        self, network: Network, metrics: Mapping[str, float]
    ) -> list[str]:
        before, now = (
            parameters_to_vector(each.parameters()).detach().numpy()
            for each in (self.trained.network, network)
        )
        difference = np.abs(now - before)
        if not difference.any():
            return []
        return [
            f"weights: {np.count_nonzero(difference):,} of {difference.size:,} differ; "
            f"largest difference {difference.max():.2g}, mean {difference.mean():.2g}; "
            f"mean absolute weight {np.abs(before).mean():.2g}",
            *(
                f"{name}: {self.metrics[name]:.4%}, now {metrics[name]:.4%}"
                for name in ("final/train_accuracy", "val/accuracy")
            ),
        ]

    def _environment_differences(self, tags: Mapping[str, str]) -> list[str]:
        recorded = self.run.tags
        lines = [
            f"{name}: {recorded.get(tag)}, now {tags.get(tag)}"
            for tag, name in ENVIRONMENT_TAGS.items()
            if recorded.get(tag) != tags.get(tag)
        ]
        if recorded.get("git.dirty") == tags.get("git.dirty") == "true":
            lines.append("uncommitted code: both then and now")
        return lines

    def _code_differences(self, code: Mapping[str, str]) -> list[str]:
        path = self.run.folder / "code.json"
        if not path.exists():
            return ["code: not recorded then"]
        changed = _changed(json.loads(path.read_text()), code)
        return [f"code: {', '.join(changed)}"] if changed else []

    def _package_differences(self, packages: str) -> list[str]:
        recorded = (self.run.folder / "packages.txt").read_text()
        before, now = (
            dict(line.split("==") for line in text.splitlines())
            for text in (recorded, packages)
        )
        # First the packages that changed, then those that were removed or added.
        names = sorted(
            _changed(before, now), key=lambda n: (n not in before, n not in now, n)
        )
        versions = [
            f"{name} {before.get(name, 'none')}, now {now.get(name, 'none')}"
            for name in names
        ]
        return [f"packages: {'; '.join(versions)}"] if versions else []


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the keys whose values differ, or that only one of the two has."""
    return [key for key in {**before, **now} if before.get(key) != now.get(key)]
