import copy
from dataclasses import replace

import onnx
import pytest
import torch
from onnx import numpy_helper

from pipeline.base.tensors import tensors_sha256
from pipeline.core.network import snapshot
from pipeline.deploy.onnx_file import FILE, check_onnx, write_onnx


@pytest.fixture
def images(mnist):
    return mnist.test.images[:1000]


@pytest.mark.parametrize("scale", [1, 30, 1e9])
def test_the_file_agrees_with_pytorch_even_for_large_weights(
    scale, trained_on_few, images, tmp_path
):
    trained = trained_on_few()
    network = copy.deepcopy(trained.network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= scale
    scaled = replace(trained, network=network)
    write_onnx(scaled, tmp_path)
    (stored,) = onnx.load(tmp_path / FILE).metadata_props
    written = tensors_sha256(snapshot(network))
    assert (stored.key, stored.value) == ("weights_sha256", written)
    check = check_onnx(scaled, tmp_path, images)
    assert (check.difference, check.images) == ("", len(images))


def test_classes_with_almost_equal_logits_are_not_a_difference(
    trained_on_few, images, tmp_path
):
    trained = trained_on_few()
    network = copy.deepcopy(trained.network)
    with torch.no_grad():  # all classes have almost equal logits
        network.layer_2.weight[1:] = network.layer_2.weight[:1]
        network.layer_2.bias[:] = 0
        network.layer_2.bias[1::2] = 3e-6
    write_onnx(replace(trained, network=network), tmp_path)
    with torch.no_grad():
        network.layer_2.bias[1::2] = -3e-6
    check = check_onnx(replace(trained, network=network), tmp_path, images)
    assert (check.difference, check.images) == ("", len(images))


@pytest.mark.parametrize("constant", ["layer_1_weight", "layer_2_bias"])
def test_a_wrong_constant_is_detected(constant, trained_on_few, images, tmp_path):
    trained = trained_on_few()
    write_onnx(trained, tmp_path)
    model = onnx.load(tmp_path / FILE)
    (tensor,) = (t for t in model.graph.initializer if t.name == constant)
    values = numpy_helper.to_array(tensor).copy()
    values += 1
    tensor.CopyFrom(numpy_helper.from_array(values, constant))
    onnx.save(model, tmp_path / FILE)
    assert "image " in check_onnx(trained, tmp_path, images).difference
