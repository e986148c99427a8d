"""Copy recorded runs to an MLflow server, if they are not there yet.

Reads MLflow's store in outputs/; orphaned runs are marked as killed first. Takes two
seconds per run, and 0.1 s for a run that is there unchanged. A copy has the tag
`copy.of` with the id of its original; metrics, files and times are the same.
"""

from pipeline.cli import SyncConfig, stage, store_dir


def sync(cfg: SyncConfig) -> None:
    """Copy the missing runs, and print how many are on the server."""
    from pipeline import tracking

    if cfg.server is None:
        raise ValueError(
            "server is missing: set server=http://... or MLFLOW_TRACKING_URI=http://..."
        )
    addresses = tracking.sync_runs(store=store_dir(), server=cfg.server)
    print(f"{len(addresses)} runs are on {cfg.server}, equal to those here")


if __name__ == "__main__":
    stage(sync, SyncConfig)
