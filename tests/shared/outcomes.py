"""Outcomes of jobs that were not trained, for tests of reports and searches."""

from pathlib import Path

from pipeline.sweeps.jobs import FailedOutcome, TrainedOutcome


def outcome_of(job, accuracy, error=None, *, reused=False):
    """Return a trained outcome or, with an error or an invalid job, a failed one."""
    if error := error or job.error:
        return FailedOutcome(job, error, None)
    metrics, path = {"val/accuracy": accuracy}, Path("model.safetensors")
    return TrainedOutcome(job, metrics, 0.5, None, path, reused=reused)
