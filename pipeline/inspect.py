"""Look inside a trained network: which numbers it has, how many, and why that many.

Reads outputs/train/ (or what run=<id> left); writes outputs/inspect/summary.json, and
the same into the MLflow run that trained the network. Takes 3 s; with 20 hidden
neurons 15,680 + 20 + 200 + 10 = 15,910 numbers.
"""

import json

from pipeline.command import stage
from pipeline.config import OUTPUTS, Look, home


def inspect(cfg: Look) -> None:
    """Load, compute, write, in this order."""
    import time

    from pipeline import atomic, chosen, tracking

    trained = chosen.network(cfg.run, cfg.model, last=OUTPUTS / "train", store=home())
    arrays = trained.network.arrays()
    total = sum(array.size for array in arrays)
    with (
        tracking.run_of_network(
            store=home() if cfg.tracking == "mlflow" else None,
            run_id=trained.run_id,
            weights_sha256=trained.sha256,
            server=cfg.server,
        ) as run,
        atomic.folder(OUTPUTS / "inspect") as written,
    ):
        summary = {"parameters": total, "arrays": [vars(array) for array in arrays]}
        text = json.dumps(summary, indent=1)
        (written / "summary.json").write_text(text + "\n")
        run.log_files("inspect", sorted(written.iterdir()))
        run.log_metrics(
            {"inspect/parameters": total},
            step=trained.epochs,
            time=time.time_ns() // 1_000_000,
        )
    print(f"{'array':16}{'as in Keras':>14}{'in PyTorch':>14}{'numbers':>10}  because")
    for array in arrays:
        shapes = f"{array.keras_shape!s:>14}{array.torch_shape!s:>14}"
        print(f"{array.name:16}{shapes}{array.size:10,}  {array.why}")
    print(f"{'together':44}{total:10,}")
    print(f"\nfiles  {OUTPUTS / 'inspect'}\n{run.epilogue()}", end="")


if __name__ == "__main__":
    stage(inspect, Look)
