"""The analysis of a small network that was trained on clothes."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import datasets
from pipeline.datasets.registry import DEBIAN_FOLDER
from pipeline.interpret import ModelAnalysis
from pipeline.model import (
    fit_detector,
    load_trained_model,
    save_detector,
    save_model,
)
from pipeline.training import train


@pytest.fixture(scope="package")
def clothes(mnist, tmp_path_factory):
    """The analysis of a network that was trained on 2,000 images for one epoch."""
    if not DEBIAN_FOLDER.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    whole = datasets.load("fashion_mnist", folder=mnist.path.parent)
    few = whole.train.pick(np.arange(2000)), whole.test.pick(np.arange(300))
    dataset = replace(whole, train=few[0], test=few[1])
    settings = {"hidden": 20, "epochs": 1, "batch_size": 32, "lr": 0.001, "seed": 1}
    network, _ = train(dataset.split("exercise"), **settings)
    path = tmp_path_factory.mktemp("clothes") / "model.safetensors"
    save_model(path, network, {"dataset": "fashion_mnist"})
    trained = load_trained_model(path)
    detector = fit_detector(network, dataset.train.images, dataset.train.labels)
    save_detector(trained.detector_path, detector, network=trained.sha256)
    return ModelAnalysis.of(trained, dataset)
