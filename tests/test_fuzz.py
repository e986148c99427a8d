"""Fuzz tests: readers of files and arguments get random and damaged input.

The environment variable FUZZ is the number of inputs for each parser.
"""

import gzip
import io
import math
import os
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import ConfigError, UserError, datasets, images
from pipeline.base.files import as_yaml
from pipeline.base.text import printable
from pipeline.cli import defaults, schema, validation
from pipeline.cli.arguments import parse
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import TrainingState
from pipeline.core.network import Network, snapshot
from pipeline.core.optimizer import Adam
from pipeline.datasets import components
from pipeline.images import reading
from pipeline.model import (
    OodDetector,
    load_history_files,
    load_trained_network,
    storage,
)
from pipeline.training.checkpoints import Checkpoint

HYPERPARAMETERS = Hyperparameters(**defaults() | {"epochs": 1})
TRAINED = storage.Metadata(
    dataset="digits",
    data_sha256="00ff" * 16,
    hyperparameters=HYPERPARAMETERS.model_copy(update={"hidden": 2}),
    min_margin=0.25,
)

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ", "30")),
    deadline=timedelta(seconds=120),  # no reader hangs
    derandomize="FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SPECIAL = [b"\0\0\x80\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"]  # inf, nan, 0
PLACES = st.floats(0, 1, exclude_max=True)
REMOVED = st.sampled_from([0, 1, 2, 4, 200, 10**9])  # bytes, from none to all
NEW = st.binary(max_size=4) | st.sampled_from(SPECIAL)
EDITS = st.lists(st.tuples(PLACES, REMOVED, NEW), max_size=4)


def damage(content, edits):
    """Return bytes after some edits, which replace, insert or remove some of them."""
    content = bytearray(content)
    for position, removed, new in edits:
        # Half of the edits are in the header, which declares types and sizes.
        anywhere = (position * 2 - 1) * len(content)
        at = min(int(position * 128 if position < 0.5 else anywhere), len(content))
        content[at : at + removed] = new
    return bytes(content)


def damaged(*valid):
    """Return a strategy for random bytes, or for valid bytes after some edits."""
    return st.binary(max_size=300) | st.builds(damage, st.sampled_from(valid), EDITS)


def read(reader, *arguments, naming="", **options):
    """Return what a reader returns; None if its error contains `naming`."""
    try:
        return reader(*arguments, **options)
    except (UserError, ValueError, OSError) as error:
        assert naming in str(error)
        return None


def idx(*sizes):
    header = bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes()
    return header + bytes(range(math.prod(sizes)))


@pytest.mark.parametrize("dimensions", [1, 3])
@fuzz
@given(damaged(idx(40), idx(2, 3, 4), gzip.compress(idx(2, 3, 4))))
def test_an_idx_file_is_read_exactly_or_rejected(tmp_path, dimensions, content):
    path = tmp_path / "idx"
    path.write_bytes(content)
    array = read(datasets.read_idx, path, dimensions=dimensions)
    if array is not None:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        sizes = np.array(array.shape, ">u4").tobytes()
        assert content == bytes([0, 0, 8, dimensions]) + sizes + array.tobytes()


def encode(kind, mode="L"):
    content = io.BytesIO()
    Image.linear_gradient("L").resize((30, 20)).convert(mode).save(content, kind)
    return content.getvalue()


IMAGES = [encode(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
IMAGES += [encode("PNG", "P"), encode("PNG", "RGBA")]


@fuzz
@given(damaged(*IMAGES))
def test_an_image_is_read_as_gray_levels_or_rejected_by_name(tmp_path, content):
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    levels = read(reading.read_image, path, naming="damaged.png")
    if levels is not None:
        assert levels.dtype == np.uint8 and levels.ndim == 2
        assert 0 < levels.size <= reading.MAX_PIXELS


TABLE = "file,label\n1.png,1\n2.png,2\n../up.png,3\n/etc/passwd,4\n"


@fuzz
@given(st.one_of(damaged(TABLE.encode()), st.text(max_size=99).map(str.encode)))
def test_labels_csv_lists_only_files_of_its_folder_or_is_rejected(tmp_path, content):
    for name in ("1.png", "2.png"):
        (tmp_path / name).touch()
    (tmp_path / "labels.csv").write_bytes(content)
    listing = read(images.list_images, tmp_path)
    if listing:
        assert {*listing.labels} <= {None, *range(10)}
        for path in listing.images:
            assert path.resolve().is_relative_to(tmp_path.resolve())
    assert not listing or all(line == printable(line) for line in listing.problems)


@pytest.fixture
def network():
    return Network(hidden=2, generator=torch.Generator().manual_seed(1))


FILES = ("model", "history", "data-components")


@pytest.fixture
def files(tmp_path, network):
    """The paths of a network's files, and what they contain before they are damaged."""
    paths = {key: tmp_path / f"{key}.safetensors" for key in FILES}
    images = LabeledImages(np.ones((10, 28, 28), np.uint8), np.arange(10, dtype="u1"))
    storage.save_network(paths["model"], network, TRAINED)
    tensors = [snapshot(network)] * 2
    storage.save_weight_history(paths["history"], tensors)
    file = DataFile(tmp_path / "data.safetensors", "00ff")
    components.write_components(Dataset(file, images, images))
    return paths, {key: path.read_bytes() for key, path in paths.items()}


@pytest.mark.parametrize("name", FILES)
@fuzz
@given(data=st.data())
def test_a_network_and_its_files_are_complete_or_rejected(tmp_path, files, name, data):
    paths, contents = files
    paths[name].write_bytes(data.draw(damaged(contents[name])))
    trained = read(load_trained_network, paths["model"], naming="model.safetensors")
    path = tmp_path / "data.safetensors"
    found = components.read_components(path, data_sha256="00ff")
    if not (trained and found):
        return
    histories = read(lambda: load_history_files(trained), naming=".safetensors")
    if histories and histories.weights:
        image = np.zeros((1, 28, 28), np.uint8)
        logits = trained.network.logits(image)
        detector = OodDetector(found["exercise"], min_margin=0.25)
        assert len(detector.reasons(image, logits)) == 1
        assert np.isfinite(logits.numpy()).all()
        for key, last in snapshot(trained.network).items():
            assert np.isfinite(histories.weights[key]).all()
            np.testing.assert_array_equal(histories.weights[key][-1], last)


@pytest.mark.parametrize("name", ["state", "epochs"])
@fuzz
@given(edits=EDITS)
def test_a_checkpoint_is_restored_exactly_or_rejected(tmp_path, network, name, edits):
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    state = TrainingState(network, Adam(network.vector, lr=0.1), torch.Generator())
    restore = Checkpoint.resume_or_start
    (before,) = restore(folder, state).epochs
    path = folder / name
    path.write_bytes(damage(path.read_bytes(), edits))
    restored = read(restore, folder, state, naming="resume=false starts")
    if restored is not None:
        (epoch,) = restored.epochs
        assert (epoch.number, epoch.time) == (0, before.time)
        np.testing.assert_equal(epoch.tensors, before.tensors)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES |= st.lists(st.text(max_size=5), max_size=3)
KEYS = sorted(defaults())


@fuzz
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_values_are_within_bounds_or_rejected_by_their_key(values):
    try:
        cfg = validation.validate(schema.TrainConfig, defaults() | values)
    except ConfigError as error:
        assert {line.split()[0] for line in str(error).splitlines()} <= {*values}
    else:
        assert cfg.hidden >= 1 and cfg.epochs >= 1 and 0 < cfg.lr <= 100
        assert type(cfg.hidden) is type(cfg.epochs) is type(cfg.seed) is int
        assert as_yaml(dict(cfg))


WORDS = st.text(max_size=30) | st.builds(
    "{}={}".format, st.sampled_from(KEYS), st.text()
)
WORDS |= st.sampled_from(
    ["-m", "--multirun", "hidden=1,2", "lr=${seed}", "lr=interval(1,9)"]
)


@fuzz
@given(st.lists(WORDS, max_size=4))
def test_a_command_line_is_rejected_or_has_a_valid_job(words):
    command = read(parse, words, schema.TrainConfig)
    if command:
        assert isinstance(command.config, schema.TrainConfig)
        assert command.is_multirun or not command.varied
