"""The data sets of a sweep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import UserError
from pipeline.paths import outputs_dir
from pipeline.sweeps.jobs import Job


@dataclass(frozen=True)
class DataFile:
    """The file of a data set."""

    path: Path
    sha256: str
    train_images: int  # the number of training images


def prepare_data(jobs: Sequence[Job]) -> tuple[list[Job], dict[str, DataFile]]:
    """Download the data sets of a sweep if necessary.

    Returns:
        The jobs, of which those whose data set is not available have a problem, and the
        file of each data set by the value of the key `dataset`.

    Raises:
        UserError, OSError: If none of the data sets is available.
    """
    from pipeline import datasets

    data: dict[str, DataFile] = {}
    errors: dict[str, UserError | OSError] = {}
    for name in sorted({job.values["dataset"] for job in jobs if not job.problems}):
        try:
            path, _ = datasets.prepare(name, folder=outputs_dir() / "data")
            summary = datasets.summary(path)
            count = summary["train"]["images"]
            data[name] = DataFile(path, summary["sha256"], count)
        except (UserError, OSError) as error:
            errors[name] = error
    if errors and not data:
        raise next(iter(errors.values()))
    checked = []
    for job in jobs:
        reason = errors.get(job.values["dataset"])
        if reason and not job.problems:
            job = replace(job, problems=[str(reason)])
        checked.append(job)
    return checked, data
