"""Determine which jobs of a sweep are already trained, and restore their files.

The runs in the store are authoritative; without tracking, the files in the folder are.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import UserError, files
from pipeline.paths import RUN_FILE
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.launch import record_failure

if TYPE_CHECKING:
    from pipeline.tracking import RecordedRun, Run


def find_missing(jobs: Sequence[Job], folder: Path, run: "Run") -> list[Job]:
    """Return the jobs that still have to be trained, and prepare all folders.

    The files of an unfinished run are ignored. If a run is finished but its files are
    missing in the folder, they are restored from the run.

    Raises:
        UserError: If the files of a finished run are missing in MLflow as well.
    """
    trained = _find_trained(jobs, folder, run)
    missing = []
    for job in jobs:
        job_folder = folder / job.folder
        if job.problems:
            continue
        if files.is_held(job_folder / "lock"):  # a worker survived its launcher
            missing.append(job)
        elif job.name in trained:
            if child := trained[job.name]:
                _restore_files(child, job_folder / "train", job)
            (job_folder / "error.txt").unlink(missing_ok=True)
            (job_folder / "done").touch()
        else:
            for name in ("done", "error.txt", "begun"):
                (job_folder / name).unlink(missing_ok=True)
            missing.append(job)
    return missing


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
        record = folder / job.folder / "train" / RUN_FILE
        if record.exists() and json.loads(record.read_text())["run_id"] is None:
            trained[job.name] = None
    finished = [child for child in run.children() if child.status == "FINISHED"]
    return trained | {child.tags.get("setting", ""): child for child in finished}


def _restore_files(child: "RecordedRun", folder: Path, job: Job) -> None:
    """Copy the files of a run to a folder, unless it already contains the same files.

    Raises:
        UserError: If the files of the run are missing.
    """
    recorded, existing = (
        {path.name: path.stat().st_size for path in place.glob("*")}
        for place in (child.folder / "train", folder)
    )
    id_file = folder / RUN_FILE
    is_from_run = id_file.exists() and child.run_id in id_file.read_text()
    if is_from_run and recorded in ({}, existing):
        return
    if not recorded:
        raise UserError(
            f"{child.folder} has lost the files of {job.name}: delete its run "
            f"{child.run_id} in MLflow, then run the same command again to train it"
        )
    with files.atomic_folder(folder) as written:
        for name in recorded:
            shutil.copy(child.folder / "train" / name, written)
