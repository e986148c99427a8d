"""Reproduction: train a recorded run again and compare the tensors byte by byte.

If they differ, a report says by how much, and what else is different: commit,
code, versions or processor.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.nn.utils import parameters_to_vector

from pipeline import UserError, datasets, files
from pipeline.model import Network, TrainedModel, load_trained_model, read_metrics
from pipeline.paths import METRICS_FILE, MODEL_FILE
from pipeline.tracking import RecordedRun, find_training_run, provenance, sources

ENVIRONMENT_TAGS = {  # tags of a run that can explain different bytes
    "git.commit": "commit",
    "version.torch": "PyTorch",
    "version.python": "Python",
    "processor": "processor",
}


@dataclass(frozen=True)
class RecordedTraining:
    """A finished training run that MLflow recorded."""

    run: RecordedRun
    model: TrainedModel
    metrics: Mapping[str, float]

    @classmethod
    def load(cls, run_id: str, *, store: Path) -> "RecordedTraining":
        """Read a training run from its artifacts.

        Raises:
            UserError: If the store does not contain the run, the run has no network, or
                one of its files is damaged.
        """
        run = find_training_run(run_id, store=store)
        model = load_trained_model(run.folder / "train" / MODEL_FILE)
        return cls(run, model, read_metrics(run.folder / "train" / METRICS_FILE))

    def load_data(self, folder: Path) -> datasets.Dataset:
        """Load the data set of the training from the folder of all data sets.

        Its file is found by its hash, even if a folder with IDX files has moved.

        Raises:
            FileNotFoundError: If neither the file nor its source is available.
            UserError: If the data are not the same; the message names the files.
        """
        name, expected = (
            self.model.metadata[key] for key in ("dataset", "data_sha256")
        )
        if stored := datasets.find(expected, folder=folder):
            return datasets.Dataset.read(stored)
        trained_with = f"run {self.run.run_id} was trained with"
        path = folder / f"{datasets.file_name(name)}.safetensors"
        if path.exists() and path.with_suffix(".json").exists():
            sha256 = files.file_sha256(path)
            if sha256 != datasets.summary(path)["sha256"]:
                raise UserError(
                    f"{path} is damaged: {trained_with} sha256 {expected}, and this is "
                    f"{sha256}; python -m pipeline.data dataset={name} writes it again"
                )
        path, _ = datasets.prepare(name, folder=folder)
        summary = datasets.summary(path)
        if summary["sha256"] != expected:
            (recorded,) = (self.run.folder / "data").glob("*.json")
            before = json.loads(recorded.read_text())["origin"]
            changed = _changed(before, summary["origin"])
            raise UserError(
                f"{trained_with} a different version of {name}: restore "
                f"{', '.join(changed) or path}"
            )
        return datasets.Dataset.read(path)

    def compare(
        self, network: Network, sha256: str, metrics: Mapping[str, float]
    ) -> str:
        """Compare this training with its reproduction, and return a report.

        `sha256` is the hash of the tensors of the reproduction, and `metrics` the
        content of its metrics.json.

        Raises:
            UserError: If the hashes differ; the message is the report.
        """
        differences = [
            *self._weight_differences(network, metrics),
            *self._environment_differences(),
            *self._code_differences(),
        ]
        hashes = f"\n  recorded {self.model.sha256}\n  now      {sha256}"
        lines = "".join(f"\n  {line}" for line in differences)
        if sha256 != self.model.sha256:
            raise UserError(f"not reproduced:{hashes}{lines}")
        note = f"\nin spite of these differences:{lines}" if lines else ""
        return f"reproduced byte for byte:{hashes}{note}"

    def _weight_differences(
        self, network: Network, metrics: Mapping[str, float]
    ) -> Iterator[str]:
        before, now = (
            parameters_to_vector(model.parameters()).detach().numpy()
            for model in (self.model.network, network)
        )
        difference = np.abs(now - before)
        if difference.any():
            yield (
                f"weights: {np.count_nonzero(difference):,} of {difference.size:,} "
                f"differ, by {difference.max():.2g} at most and by "
                f"{difference.mean():.2g} on average; the mean absolute weight is "
                f"{np.abs(before).mean():.2g}"
            )
            for name in ("train/final_accuracy", "val/accuracy"):
                yield f"{name}: {self.metrics[name]:.4%}, now {metrics[name]:.4%}"

    def _environment_differences(self) -> Iterator[str]:
        tags = provenance.tags()
        for tag, name in ENVIRONMENT_TAGS.items():
            before, now = self.run.tags.get(tag), tags.get(tag)
            if before != now:
                yield f"{name}: {before}, now {now}"
        patch = self.run.folder / "code.diff"
        recorded = patch.read_bytes().decode() if patch.exists() else ""
        if recorded != provenance.code_diff():
            yield "uncommitted code: different; compare code.diff of the two runs"

    def _code_differences(self) -> Iterator[str]:
        path = self.run.folder / "code.json"
        if not path.exists():
            yield "code: not recorded in the original run"
            return
        recorded = json.loads(path.read_text())
        if changed := _changed(recorded, sources.training_hashes()):
            yield f"code: {', '.join(changed)}"


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the keys whose values differ, or that only one of the two has."""
    return [key for key in {**before, **now} if before.get(key) != now.get(key)]
