"""Turns MLflow's telemetry off; it must be called before MLflow is imported."""

import os


def disable_telemetry() -> None:
    """Set MLFLOW_DISABLE_TELEMETRY, also for other processes; keep a user's value.

    It stays set: if it were removed later, another thread that copies the environment
    could fail.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
