"""Readers of what came from outside, with bytes that nobody would write.

FUZZ in the environment is how many of them each reader tries.
"""

import gzip
import io
import math
import os
from datetime import timedelta

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import numpy as safetensors

from pipeline import datasets, images
from pipeline.cli import config, schema
from pipeline.cli.arguments import ParsedCommand, parse
from pipeline.images import reading
from pipeline.model import Network, load_trained_model, ood, storage
from pipeline.training import Adam, Checkpoint

TRIES = int(os.environ.get("FUZZ", "50"))
settings.register_profile(
    "fuzz",
    max_examples=TRIES,
    deadline=timedelta(seconds=120),  # nothing hangs
    derandomize="FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
fuzz = settings.get_profile("fuzz")
EXPECTED = (ValueError, OSError)

SPECIAL = [b"\0\0\x80\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"]  # inf, nan, 0
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "cut", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from(SPECIAL)),
    ),
    max_size=4,
)


def edited(content, edits):
    """Valid bytes after a few accidents."""
    content = bytearray(content)
    for kind, place, other in edits:
        # Half of the accidents befall the head, which claims the most.
        at = int(place * 128 if place < 0.5 else (place * 2 - 1) * len(content))
        at = min(at, len(content))
        if kind == "set":
            content[at : at + len(other)] = other
        elif kind == "insert":
            content[at:at] = other
        elif kind == "cut":
            del content[at : at + other[0]]
        else:
            del content[at:]
    return bytes(content)


def strange(*valid):
    """Any bytes, or valid ones after a few accidents."""
    some = st.tuples(st.sampled_from(valid), EDITS)
    return st.one_of(st.binary(max_size=300), some.map(lambda pair: edited(*pair)))


def idx(*sizes):
    body = bytes(range(256)) * (math.prod(sizes) // 256 + 1)
    header = bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes()
    return header + body[: math.prod(sizes)]


@pytest.mark.parametrize("dimensions", [1, 3])
@fuzz
@given(
    strange(idx(40), idx(3, 5, 4), gzip.compress(idx(40)), gzip.compress(idx(2, 3, 4)))
)
def test_an_idx_file_is_read_as_it_says_or_refused(
    tmp_path_factory, dimensions, content
):
    path = tmp_path_factory.getbasetemp() / "strange-idx"
    path.write_bytes(content)
    try:
        found = datasets.read_idx(path, dimensions=dimensions)
    except EXPECTED:
        return
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    assert content == bytes([0, 0, 8, dimensions]) + (
        np.array(found.shape, ">u4").tobytes() + found.tobytes()
    )


def saved(kind, mode="L"):
    content = io.BytesIO()
    drawn = np.add.outer(np.arange(20) * 3, np.arange(30) * 5).astype(np.uint8)
    Image.fromarray(drawn).convert(mode).save(content, kind)
    return content.getvalue()


PICTURES = [saved("PNG"), saved("PNG", "P"), saved("PNG", "RGBA"), saved("JPEG")]
PICTURES += [saved("GIF"), saved("BMP"), saved("TIFF"), saved("WEBP"), saved("PPM")]


@fuzz
@given(strange(*PICTURES))
def test_a_picture_is_grey_levels_or_refused_by_name(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "strange.png"
    path.write_bytes(content)
    try:
        levels = reading.read_image(path)
    except EXPECTED as error:
        assert "strange.png" in str(error)
        return
    assert levels.dtype == np.uint8 and levels.ndim == 2
    assert 0 < levels.size <= reading.MAX_PIXELS


TABLE = "file,label\n1.png,1\n2.png,2\n../up.png,3\n/etc/passwd,4\n"


@fuzz
@given(st.one_of(strange(TABLE.encode()), st.text(max_size=99).map(str.encode)))
def test_a_table_of_labels_names_files_of_its_folder_or_is_refused(
    tmp_path_factory, content
):
    folder = tmp_path_factory.getbasetemp() / "strange-table"
    folder.mkdir(exist_ok=True)
    for name in ("1.png", "2.png"):
        (folder / name).touch()
    (folder / "labels.csv").write_bytes(content)
    try:
        found = images.list_images(folder)
    except EXPECTED:
        return
    for picture in found.entries:
        assert picture.label in range(10)
        assert picture.path.resolve().is_relative_to(folder.resolve())
    assert all(line.isprintable() for line in found.problems)


def network():
    return Network(hidden=2, generator=torch.Generator().manual_seed(1))


TENSORS = safetensors.save(
    storage.snapshot(network()), {"about": '{"hidden": 2, "seed": 1}'}
)


@fuzz
@given(strange(TENSORS))
def test_a_network_is_finite_and_of_its_shape_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "strange.safetensors"
    path.write_bytes(content)
    try:
        found, about = storage.load_model_with_metadata(path)
    except EXPECTED as error:
        assert "strange.safetensors" in str(error)
        return
    assert isinstance(about, dict)
    assert all(tensor.isfinite().all() for tensor in found.parameters())
    probabilities = found.predict(np.zeros((1, 28, 28), np.uint8))
    assert probabilities.shape == (1, 10)


HISTORY = safetensors.save(
    {n: np.stack([t * 0, t]) for n, t in storage.snapshot(network()).items()}
)


@fuzz
@given(strange(HISTORY))
def test_a_history_is_finite_and_of_its_network_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "strange-history"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(TENSORS)
    (folder / "history.safetensors").write_bytes(content)
    trained = load_trained_model(folder / "model.safetensors")
    try:
        found = trained.history()
    except EXPECTED as error:
        assert "history.safetensors" in str(error)
        return
    last = storage.snapshot(trained.network)
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: (len(found[name]), *tensor.shape) for name, tensor in last.items()
    }
    assert all(np.isfinite(tensor).all() for tensor in found.values())
    assert all((found[name][-1] == last[name]).all() for name in last)


KNOWN = safetensors.save(
    {
        "means": np.zeros((10, 784), np.uint8),
        "components": np.ones((10, 2, 784), np.int8),
    },
    {"about": '{"network": "a hash", "most_unexplained": 0.5, "least_margin": 0.25}'},
)


@fuzz
@given(strange(KNOWN))
def test_what_is_familiar_is_of_its_shape_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "strange-familiar.safetensors"
    path.write_bytes(content)
    try:
        found = ood.load_detector(path, network="a hash")
    except EXPECTED:
        return
    images, chances = np.zeros((1, 28, 28), np.uint8), np.full((1, 10), 0.1)
    (verdict,) = found.judge(images, chances)
    assert verdict.reason == "blank"


@pytest.mark.parametrize("name", ["state", "history"])
@fuzz
@given(edits=EDITS)
def test_a_checkpoint_is_restored_exactly_or_refused(tmp_path_factory, name, edits):
    folder = tmp_path_factory.mktemp("strange", numbered=True)
    net = network()
    saved = net, Adam(net, lr=0.1), torch.Generator()
    before = Checkpoint(folder, *saved).save().tensors
    path = folder / name
    path.write_bytes(edited(path.read_bytes(), edits))
    try:
        (state,) = Checkpoint(folder, *saved).restore()
    except EXPECTED as error:
        assert "resume=false starts" in str(error)
        return
    assert state.epoch == 0
    assert state.tensors.keys() == before.keys()
    assert all((state.tensors[key] == before[key]).all() for key in before)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
)
KEYS = sorted(config.defaults())


@fuzz
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_values_are_within_bounds_or_refused_by_their_key(values):
    try:
        found = config.validate(schema.TrainConfig, config.defaults() | values)
    except config.ConfigError as error:
        assert all(line.split()[0].strip(":") for line in str(error).splitlines())
        return
    assert found.hidden >= 1 and found.epochs >= 1 and 0 < found.lr <= 100
    assert type(found.hidden) is type(found.epochs) is type(found.seed) is int
    assert config.as_yaml(found)


WORDS = st.one_of(
    st.text(max_size=30),
    st.tuples(st.sampled_from(KEYS), st.text(max_size=20)).map("=".join),
    st.sampled_from(["-m", "--multirun", "hidden=1,2", "lr=${seed}", "+a.b=c"]),
)


@fuzz
@given(st.lists(WORDS, max_size=4))
def test_a_command_line_is_understood_or_refused(words):
    found = parse(words, schema.TrainConfig, sweeps=True)
    assert isinstance(found, ParsedCommand)
    assert found.problems or isinstance(found.overrides, list)
