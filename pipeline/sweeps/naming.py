"""The key and the name of a sweep, which its jobs determine."""

from collections.abc import Mapping, Sequence

from pipeline.base import files
from pipeline.base.text import short_name
from pipeline.cli import Interval
from pipeline.sweeps.jobs import Job, all_options
from pipeline.training.run_names import unusual_keys

MAX_NAMED = 8  # values of a key in the name of a sweep


def sweep_key(
    jobs: Sequence[Job],
    intervals: Mapping[str, Interval],
    *,
    recorded_in: str | None,
    again: bool,
) -> str:
    """Return the key of a sweep, 16 hexadecimal digits, for jobs in any order.

    The same command has the same key, even if it starts another run with another ID.
    The key is a hash of the fingerprints of the jobs, the options of groups, which are
    tags of the run, the intervals of a search, the MLflow experiment (None if nothing
    is recorded), and the setting `again`.
    """
    content = [
        sorted(job.id for job in jobs),
        sorted(all_options(job.options for job in jobs).items()),
        sorted([key, x.low, x.high, x.log] for key, x in intervals.items()),
        recorded_in,
        again,
    ]
    return files.json_sha256(content)[:16]


def sweep_name(
    jobs: Sequence[Job], intervals: Mapping[str, Interval] | None = None
) -> str:
    """Return the name of a sweep, such as "hidden=5,10 seed=1,2,3 epochs=5".

    If a key has more than `MAX_NAMED` values, only the first two values and the last
    value appear. An interval appears as "hidden=4..128", and an interval with a
    logarithmic scale as "lr=log(0.001..0.1)". If some combinations of the
    values are not trained, the number of trained combinations follows, such as
    "hidden=5,10 lr=0.01,0.1 (3 combinations)".
    """
    valid = next(job for job in jobs if not job.error)
    varied, product = dict[str, str](), 1
    for name in valid.varied:
        values = [str(job.varied_values[name]) for job in jobs]
        product *= len({*values})
        if name in valid.options:  # such as small,wide for equal jobs
            values = ",".join(values).split(",")
        texts = [*dict.fromkeys(values)]
        shown = texts if len(texts) <= MAX_NAMED else [*texts[:2], "…", texts[-1]]
        varied[name] = ",".join(shown)
    for key, interval in (intervals or {}).items():
        text = f"{interval.low}..{interval.high}"
        varied[key] = f"log({text})" if interval.log else text
    others = {
        key: valid.values[key]
        for key in unusual_keys(valid.values)
        if key not in varied
    }
    number = f" ({len(jobs):,} combinations)" if len(jobs) < product else ""
    return short_name({**varied, **others}) + number
