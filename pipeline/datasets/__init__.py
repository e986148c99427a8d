"""Data sets: download, IDX files, splits, one checked file for each."""

from pipeline.datasets.dataset import (
    Dataset,
    LabelledImages,
    Split,
    companion_files,
    describe,
    file_name,
    load,
    pairs_of,
    prepare,
    read_idx,
    read_pair,
    summary,
)

__all__ = [
    "Dataset",
    "LabelledImages",
    "Split",
    "companion_files",
    "describe",
    "file_name",
    "load",
    "pairs_of",
    "prepare",
    "read_idx",
    "read_pair",
    "summary",
]
