"""Sweeps: many settings under one parent run."""

from pipeline.sweeps.driver import sweep

__all__ = ["sweep"]
