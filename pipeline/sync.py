"""Copy to an MLflow server the recorded runs that have not arrived there.

Reads MLflow's store in outputs/; runs that were killed are marked as such first. Takes
two seconds a run, and a tenth for one that is there and unchanged. A copy has the tag
`copy.of` with the id of the original, and else the same numbers, files and times.
"""

from pipeline.cli.command import stage
from pipeline.cli.config import SyncConfig
from pipeline.cli.paths import store_dir


def sync(cfg: SyncConfig) -> None:
    """Send what is missing, and say how many runs are there now."""
    from pipeline import tracking

    if cfg.server is None:
        raise ValueError(
            "where to? server=http://... says it, or MLFLOW_TRACKING_URI=http://..."
        )
    arrived = tracking.sync(store=store_dir(), server=cfg.server)
    print(f"{len(arrived)} runs are on {cfg.server}, as they are here")


if __name__ == "__main__":
    stage(sync, SyncConfig)
