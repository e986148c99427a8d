"""Fixtures of tests of deploy: quantized networks of 600 real images."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.tensors import tensors_sha256
from pipeline.cli import defaults
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.network import snapshot
from pipeline.deploy import QuantizedModel
from pipeline.deploy.probes import probe_images
from pipeline.model import Metadata, TrainedModel


@pytest.fixture(scope="session")
def small_dataset(few):
    """600 training and 300 test images of MNIST."""
    return Dataset(Path("few.safetensors"), "", few.train, few.val)


@pytest.fixture(scope="session")
def trained_on_few(few):
    """Return a function that trains a network on 600 images, in 0.1 s."""

    @lru_cache
    def make(hidden=20, seed=1):
        options = {"hidden": hidden, "seed": seed, "epochs": 5, "lr": 0.003}
        chosen = Hyperparameters(**defaults() | options)
        network, _ = train_network(few, chosen)
        sha256 = tensors_sha256(snapshot(network))
        path = Path("model.safetensors")
        return TrainedModel(
            network, Metadata(hyperparameters=chosen), path, sha256, run_file=None
        )

    return make


@pytest.fixture(scope="session")
def quantized(trained_on_few, small_dataset):
    """Return a function that quantizes a network trained on 600 images."""

    @lru_cache
    def make(bits, hidden=20, epochs=1):
        trained = trained_on_few(hidden)
        return QuantizedModel.of(
            trained, small_dataset, bits=bits, finetuning_epochs=epochs
        )

    return make


@pytest.fixture(scope="session")
def test_and_probe_images(mnist):
    """Return a function: 1,000 test images and the probes of a network."""

    def make(network):
        probes = probe_images(network, generator=np.random.default_rng(1))
        return np.concatenate([mnist.test.images[:1000], probes])

    return make
