"""Determine which jobs of a sweep are already trained, and restore their files.

The runs in the store are authoritative; without tracking, the files in the folder are.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import UserError, files
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.launch import record_failure
from pipeline.sweeps.outcomes import read_training

if TYPE_CHECKING:
    from pipeline.tracking import RecordedRun, Run


def restore_folders(jobs: Sequence[Job], folder: Path, run: "Run") -> None:
    """Mark the folders of trained jobs as done, and those of all others as new.

    If a run is finished but its files are missing or damaged in the folder, they are
    restored from the run.

    Raises:
        UserError: If the files of a finished run are missing in MLflow as well.
    """
    trained = _find_trained(jobs, folder, run)
    for job in jobs:
        job_folder = folder / job.folder
        if job.problems or files.is_held(job_folder / "lock"):
            continue  # a worker that survived its launcher still trains it
        if job.name in trained:
            if child := trained[job.name]:
                _restore_files(child, job_folder / "train", job)
            (job_folder / "error.txt").unlink(missing_ok=True)
            (job_folder / "done").touch()
        else:
            for name in ("done", "error.txt", "begun"):
                (job_folder / name).unlink(missing_ok=True)


def missing_jobs(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """Return the valid jobs whose folders are not marked as done."""
    valid = [job for job in jobs if not job.problems]
    return [job for job in valid if not (folder / job.folder / "done").exists()]


def record_killed(missing: Sequence[Job], folder: Path, run: "Run") -> None:
    """Record the failure of the jobs whose worker was killed.

    If the system kills one worker, joblib kills all others. Jobs whose run was already
    finished are marked as done.
    """
    begun = [job for job in missing if (folder / job.folder / "begun").exists()]
    ended = [job for job in begun if not files.is_held(folder / job.folder / "lock")]
    trained = _find_trained(missing, folder, run)  # after all jobs have ended
    for job in ended:
        job_folder = folder / job.folder
        if job.name in trained:
            (job_folder / "done").touch()
        else:
            record_failure(job_folder, "its worker was killed; is there enough memory?")


def _find_trained(
    jobs: Sequence[Job], folder: Path, run: "Run"
) -> dict[str, "RecordedRun | None"]:
    """Return the names of the jobs that are trained, and their runs if recorded.

    A job that was trained without tracking has only files, which contain no run id.
    """
    trained: dict[str, RecordedRun | None] = {}
    for job in jobs:
        outcome = read_training(job, folder / job.folder / "train")
        if outcome and outcome.run_id is None:
            trained[job.name] = None
    finished = [child for child in run.children() if child.status == "FINISHED"]
    return trained | {child.tags.get("setting", ""): child for child in finished}


def _restore_files(child: "RecordedRun", folder: Path, job: Job) -> None:
    """Copy the files of a run to a folder, unless it already contains them."""
    recorded, existing = (
        {path.name: path.stat().st_size for path in parent.glob("*")}
        for parent in (child.folder / "train", folder)
    )
    outcome = read_training(job, folder)
    if outcome and outcome.run_id == child.run_id and recorded in ({}, existing):
        return
    with files.atomic_folder(folder) as written:
        for name in recorded:
            shutil.copy(child.folder / "train" / name, written)
        if not read_training(job, written):
            raise UserError(
                f"the files of {job.name} in {child.folder} are lost: delete its run "
                f"{child.run_id} in MLflow, then run the same command again to train it"
            )
