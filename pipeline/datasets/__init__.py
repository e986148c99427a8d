"""Data sets of 28x28 images: download, IDX files, components, data files.

`registry` has an entry for each data set, whose images `download` (files in the format
of `idx`), `upright` or `scikit_learn` reads. `prepare` writes the files of a data set
(`data_files`), with the `components` and `statistics` of its images. `loading` finds
and verifies the files, and `data` is the command.
"""

from pipeline.datasets.components import ClassComponents
from pipeline.datasets.data_files import companion_files, read_manifest, read_summary
from pipeline.datasets.idx import image_label_pairs, read_idx, read_pair
from pipeline.datasets.loading import has_images_of, load, load_components
from pipeline.datasets.prepare import prepare
from pipeline.datasets.registry import (
    REGISTRY,
    DatasetSpec,
    preparing_command,
    spec,
)
