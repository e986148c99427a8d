import copy
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import numpy_helper

from pipeline.deploy.checks import Outputs
from pipeline.deploy.onnx_files import FLOAT_FILE, INTEGER_FILE, check_onnx, write_onnx


def check(folder, model, images):
    """Compare the files in a folder with a network."""
    return check_onnx(folder, model, images, Outputs.of(model.integers, images))


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_the_integers_are_equal_and_the_floats_agree(
    bits, quantized, test_and_probe_images, tmp_path
):
    model = quantized(bits)
    write_onnx(model, tmp_path)
    for name in (FLOAT_FILE, INTEGER_FILE):
        properties = onnx.load(tmp_path / name).metadata_props
        metadata = {each.key: each.value for each in properties}
        assert metadata["weights_sha256"] == model.trained.sha256
    images = test_and_probe_images(model.integers)
    checks = check(tmp_path, model, images)
    assert [result.difference for result in checks] == ["", ""]
    assert {result.images for result in checks} == {len(images)}


@pytest.mark.parametrize("scale", [30, 1e9])
def test_a_network_with_large_weights_agrees_too(
    scale, quantized, test_and_probe_images, tmp_path
):
    model = quantized(8)
    network = copy.deepcopy(model.trained.network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= scale
    large = replace(model, trained=replace(model.trained, network=network))
    write_onnx(large, tmp_path)
    images = test_and_probe_images(model.integers)
    assert not check(tmp_path, large, images)[0].difference


def change(path, name):
    """Add 1 to the last value of a constant of an ONNX file."""
    model = onnx.load(path)
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[-1] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    "constant",
    ["q1", "b1q", "rounding", "shift", "white", "q2", "b2q", "layer_2.bias"],
)
def test_a_wrong_constant_is_detected(
    constant, quantized, test_and_probe_images, tmp_path
):
    model = quantized(2)
    write_onnx(model, tmp_path)
    is_float = "." in constant
    change(tmp_path / (FLOAT_FILE if is_float else INTEGER_FILE), constant)
    images = test_and_probe_images(model.integers)
    floats, integers = check(tmp_path, model, images)
    assert bool(floats.difference) == is_float
    assert bool(integers.difference) != is_float
    assert "image " in floats.difference + integers.difference
