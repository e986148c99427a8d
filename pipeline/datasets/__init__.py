"""Data sets of 28x28 images: download, IDX files, splits, and one file for each."""

from pipeline.datasets.dataset import SPLITS, Dataset, LabelledImages, Split
from pipeline.datasets.idx import image_label_pairs, read_idx, read_pair
from pipeline.datasets.prepare import (
    companion_files,
    file_name,
    find,
    load,
    prepare,
    summary,
)
from pipeline.datasets.registry import REGISTRY, DatasetSpec, dataset_name, spec
