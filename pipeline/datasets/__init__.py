"""Data sets of 28x28 images: download, IDX files, components, data files."""

from pipeline.datasets.components import ClassComponents
from pipeline.datasets.data_files import files_beside, read_manifest, read_summary
from pipeline.datasets.idx import image_label_pairs, read_idx, read_pair
from pipeline.datasets.loading import has_images_of, load, load_components
from pipeline.datasets.prepare import prepare
from pipeline.datasets.registry import (
    REGISTRY,
    DatasetSpec,
    preparing_command,
    spec,
)
from pipeline.datasets.statistics import images_with_ink
