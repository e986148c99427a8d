"""The configurations of a sweep: training runs that differ only in their seed.

This module computes statistics over the seeds, the order of the configurations, and the
Pareto front.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from pipeline.base.text import counted, readable, short_name
from pipeline.records.metric_names import VAL_ACCURACY
from pipeline.sweeps.jobs import (
    FailedOutcome,
    Job,
    Outcome,
    TrainedOutcome,
    failed_jobs,
)
from pipeline.sweeps.pareto_front import pareto_front


@dataclass(frozen=True)
class Configuration:
    """The jobs that differ only in their seed, and their outcomes."""

    varied_values: Mapping[str, Any]  # as in a `Job`, but without the seed
    outcomes: Sequence[Outcome]
    missing: Sequence[Job]  # see `Plan.missing`

    @cached_property
    def trained(self) -> list[TrainedOutcome]:
        """The outcomes with a network."""
        return [each for each in self.outcomes if isinstance(each, TrainedOutcome)]

    @cached_property
    def failed(self) -> list[FailedOutcome]:
        """The outcomes without a network."""
        return [each for each in self.outcomes if isinstance(each, FailedOutcome)]

    @property
    def seed_count(self) -> int:
        """The number of jobs, one for each seed."""
        return len(self.outcomes) + len(self.missing)

    @property
    def name(self) -> str:
        """The varied values, such as "hidden=5 lr=0.01"."""
        return short_name(self.varied_values)

    @property
    def parameter_count(self) -> int:
        """The number of parameters of each network; at least one must be trained."""
        return self.trained[0].job.parameter_count

    @property
    def has_all_seeds(self) -> bool:
        """Whether each seed has a network: a mean of fewer networks can be too high."""
        return len(self.trained) == self.seed_count

    @cached_property
    def accuracies(self) -> list[float]:
        """The accuracy of each trained network, in [0, 1]."""
        return [each.accuracy for each in self.trained]

    @cached_property
    def accuracy(self) -> float:
        """The mean over the seeds, in [0, 1]; at least one network must be trained."""
        return fmean(self.accuracies)

    @cached_property
    def std(self) -> float | None:
        """The sample standard deviation (n - 1) over the seeds; None for one seed."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None

    def describe_accuracy(self) -> str:
        """Return mean and standard deviation in percent, such as 95.92% ± 0.12."""
        deviation = "" if self.std is None else f" ± {self.std * 100:.2f}"
        return f"{self.accuracy:.2%}{deviation}"

    def describe_failures(self, *, limit: int | None = None) -> str:
        """Return why training runs failed, such as "seed=1,2 failed: out of memory".

        `limit` is the maximum number of different errors; None for all.
        """
        texts = []
        for error, jobs in failed_jobs(self.outcomes).items():
            seeds = ",".join(str(job.values["seed"]) for job in jobs)
            texts.append(f"seed={seeds} failed: {error}")
        if limit and (more := len(texts) - limit) > 0:
            texts[limit:] = [f"and {counted(more, 'other error')}"]
        return "; ".join(texts)

    def row(self) -> dict[str, Any]:
        """Return the row of sweep.csv; the metrics of the child runs are exact."""
        seconds = [each.seconds for each in self.trained]
        return {
            **self.varied_values,
            "trained": len(self.trained),
            VAL_ACCURACY: readable(self.accuracy) if self.trained else None,
            f"{VAL_ACCURACY} std": readable(self.std),
            "parameters": self.parameter_count if self.trained else None,
            "bytes": 4 * self.parameter_count if self.trained else None,
            "seconds": round(fmean(seconds), 3) if seconds else None,
            "failed": self.describe_failures(),
        }


def comparable(configurations: Iterable[Configuration]) -> bool:
    """Return whether all networks are validated on the same images.

    Networks that are still missing are included, so that the result does not change.
    """
    jobs = list[Job]()
    for each in configurations:
        jobs += [outcome.job for outcome in each.trained]
        jobs += each.missing
    return len({(job.data_file.sha256, job.values["split"]) for job in jobs}) <= 1


def group_by_configuration(
    outcomes: Iterable[Outcome], missing: Iterable[Job] = ()
) -> list[Configuration]:
    """Group the jobs that differ only in their seed, the most accurate first.

    If accuracies are not comparable, the configurations are sorted by their values.
    Configurations in which seeds failed or are missing come after all others, and
    configurations without a trained network come last.

    Args:
        outcomes: The outcomes of the jobs that have ended.
        missing: The valid jobs without an outcome, if the sweep has not ended.
    """
    varied: dict[str, Mapping[str, Any]] = {}
    ended: dict[str, list[Outcome]] = {}
    waiting: dict[str, list[Job]] = {}

    def group(job: Job) -> str:
        values = {key: x for key, x in job.varied_values.items() if key != "seed"}
        varied.setdefault(str(values), values)
        return str(values)

    for outcome in sorted(outcomes, key=lambda o: sort_key(o.job.varied_values)):
        ended.setdefault(group(outcome.job), []).append(outcome)
    for job in missing:
        waiting.setdefault(group(job), []).append(job)
    configurations = [
        Configuration(values, ended.get(name, []), waiting.get(name, []))
        for name, values in varied.items()
    ]
    is_ranked = comparable(configurations)

    def rank(each: Configuration) -> tuple[bool, bool, float]:
        accuracy = each.accuracy if is_ranked and each.trained else 0.0
        return not each.trained, not each.has_all_seeds, -accuracy

    return sorted(configurations, key=rank)


def why_no_best(configurations: Sequence[Configuration]) -> str:
    """Return why no configuration is the best; return "" if there is a best one.

    The configurations must be sorted. A configuration with a failed seed can be the
    best only if every configuration has a failed seed. While a sweep runs, only a
    configuration with networks of all seeds can be the best.
    """
    if not any(each.trained for each in configurations):
        return "no training run finished"
    if not comparable(configurations):
        return "the validation images differ"
    is_running = any(each.missing for each in configurations)
    if is_running and not configurations[0].has_all_seeds:
        return "no configuration has networks of all seeds yet"
    return ""


def best_configuration(configurations: Sequence[Configuration]) -> Configuration | None:
    """Return the most accurate of the sorted configurations; see `why_no_best`."""
    return None if why_no_best(configurations) else configurations[0]


def sort_key(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return a key to sort by values, even if an invalid value has a different type."""
    return [(type(value).__name__, value) for value in values.values()]


def best_trade_offs(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Return the Pareto front of accuracy and the number of parameters.

    A configuration is on the front if it is more accurate than all configurations that
    are not larger. The order is from the smallest network to the largest. The front is
    empty if all networks have the same number of parameters, or if accuracies are not
    comparable. Configurations in which seeds failed or are missing are omitted.
    """
    complete = [each for each in configurations if each.has_all_seeds]
    sizes = {each.parameter_count for each in complete}
    if len(sizes) < 2 or not comparable(configurations):
        return []
    return pareto_front(
        complete, size=lambda s: s.parameter_count, accuracy=lambda s: s.accuracy
    )
