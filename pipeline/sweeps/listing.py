"""Lists the jobs of a command."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from pipeline.cli import Command, TrainConfig
from pipeline.core.dataset import DataFile
from pipeline.records.params import NO_OPTION
from pipeline.sweeps.jobs import Job, all_options


def list_jobs(
    command: Command[TrainConfig], file_of: Callable[[str], DataFile]
) -> list[Job]:
    """Return a job for each combination of the values.

    Combinations with equal images and hyperparameters are treated as one job, which has
    the options of all these combinations. A group without an option has the option
    null. The saved sweeps, the options of the group `experiment`, do not distinguish
    jobs.

    For a search, each interval is replaced by one of its numbers.

    Args:
        command: The command of the sweep.
        file_of: A function that returns the file of a data set, and imports a folder
            with images. Data sets with the same images are one data set, with the first
            of the names.

    Raises:
        UserError, OSError: If a data set is not available. The key of the sweep depends
            on the hash of the data set.
    """
    combinations = command.combinations
    groups = dict.fromkeys(group for each in combinations for group in each.options)
    files = _data_files(
        {each.values["dataset"] for each in combinations if not each.error}, file_of
    )
    jobs: dict[str, Job] = {}
    for each in combinations:
        # `run_name` names the sweep, not its jobs.
        values = {**each.values, "run_name": None}
        file = files.get(values["dataset"])
        if file:
            values["dataset"] = file.name
        options = {group: each.options.get(group, NO_OPTION) for group in groups}
        error = "; ".join(each.error.problems) if each.error else None
        job = Job(values, options, command.varied, error, file)
        if equal := jobs.get(job.id):
            both = all_options([equal.options, options])
            jobs[job.id] = replace(equal, options=both)
        else:
            jobs[job.id] = job
    return [*jobs.values()]


def _data_files(
    names: Iterable[str], file_of: Callable[[str], DataFile]
) -> dict[str, DataFile]:
    """Return the file of each data set; equal images have the same file."""
    files: dict[str, DataFile] = {}
    by_images: dict[str, DataFile] = {}  # by SHA-256 hash
    for name in sorted(names):
        file = file_of(name)
        files[name] = by_images.setdefault(file.sha256, file)
    return files
