"""Lists the jobs of a command, which determine the id and the name of the sweep."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pipeline.base import files
from pipeline.base.params import NO_OPTION, TRAINING_KEYS
from pipeline.cli import Command, Interval, TrainConfig, committed_defaults
from pipeline.core.dataset import DataFile
from pipeline.sweeps.jobs import Job, short_name

MAX_NAMED = 8  # values of a key in the name of a sweep


def list_jobs(
    command: Command[TrainConfig], prepare: Callable[[str], DataFile]
) -> list[Job]:
    """Return a job for each combination of the values.

    Combinations with equal images and hyperparameters are one job, which has the
    options of all these combinations. A group without an option has the option null. A
    saved sweep, an option of the group `experiment`, only lists combinations, so it
    does not distinguish jobs.

    For a search, each interval is replaced by one of its numbers.

    Args:
        command: The command of the sweep.
        prepare: A function that returns the file of a data set, and imports a folder
            with images. Data sets with the same images are one data set, with the first
            of the names.

    Raises:
        UserError, OSError: If a data set is not available. The id of the sweep depends
            on the hash of the data set.
    """
    combinations = command.combinations
    groups = dict.fromkeys(group for each in combinations for group in each.options)
    data = _prepare_each(
        {each.values["dataset"] for each in combinations if not each.error}, prepare
    )
    jobs: dict[str, Job] = {}
    for each in combinations:
        # `run_name` names the sweep, not its jobs.
        values = {**each.values, "run_name": None}
        file = data.get(values["dataset"])
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


def _prepare_each(
    names: Iterable[str], prepare: Callable[[str], DataFile]
) -> dict[str, DataFile]:
    """Return the file of each data set; equal images have the same file."""
    data: dict[str, DataFile] = {}
    images: dict[str, DataFile] = {}  # by sha256
    for name in sorted(names):
        file = prepare(name)
        data[name] = images.setdefault(file.sha256, file)
    return data


def sweep_id(
    jobs: Sequence[Job],
    intervals: Mapping[str, Interval],
    *,
    experiment: str | None,
    again: bool,
) -> str:
    """Return the id of a sweep, 16 hexadecimal digits, for jobs in any order.

    The id is a hash of the fingerprints of the jobs, the options of groups, which are
    tags of the run, the intervals of a search, the experiment (None if nothing is
    recorded), and the setting `again`.
    """
    content = [
        sorted(job.id for job in jobs),
        sorted(all_options(job.options for job in jobs).items()),
        sorted([key, x.low, x.high, x.log] for key, x in intervals.items()),
        experiment,
        again,
    ]
    return files.json_sha256(content)[:16]


def sweep_name(
    jobs: Sequence[Job], intervals: Mapping[str, Interval] | None = None
) -> str:
    """Return the name of a sweep, such as "hidden=5,10 seed=1,2,3 epochs=5".

    If a key has more than `MAX_NAMED` values, only the first two values and the last
    value appear. An interval appears as "hidden=4..128". If some combinations of the
    values are not trained, the number of trained combinations follows, such as
    "hidden=5,10 lr=0.01,0.1 (3 combinations)".
    """
    varied, product = dict[str, str](), 1
    for name in jobs[0].varied:
        values = [str(job.varied_values[name]) for job in jobs]
        product *= len({*values})
        if name in jobs[0].options:  # such as small,wide for equal jobs
            values = ",".join(values).split(",")
        texts = [*dict.fromkeys(values)]
        shown = texts if len(texts) <= MAX_NAMED else [*texts[:2], "…", texts[-1]]
        varied[name] = ",".join(shown)
    for key, interval in (intervals or {}).items():
        varied[key] = f"{interval.low}..{interval.high}"
    valid = next(job for job in jobs if not job.error)
    default_values = committed_defaults()
    others = {
        key: valid.values[key]
        for key in TRAINING_KEYS
        if key not in varied and valid.values[key] != default_values[key]
    }
    number = f" ({len(jobs):,} combinations)" if len(jobs) < product else ""
    return short_name({**varied, **others}) + number


def all_options(options: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return all options of each group, such as "small,wide" for team."""
    found: dict[str, set[str]] = {}
    for each in options:
        for group, names in each.items():
            found.setdefault(group, set()).update(names.split(","))
    return {group: ",".join(sorted(names)) for group, names in found.items()}
