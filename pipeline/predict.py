"""Classify single images, and report whether each prediction is sure.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and the images of
images=: indices of test images, a file, or a folder. Image files can have any size and
any colors of pen and paper; they are preprocessed in the same way as MNIST. For a
network trained on Fashion-MNIST, they are only resized to 28x28 pixels. If the first
number in a file name has one digit, it is the label: draw0.png is labeled 0. Writes
predictions.json, predictions.csv and preparation.png, which shows each preprocessing
step, to outputs/predict/. Takes 3 s; test image 0 is a 7 with a probability of 99.8%.
"""

from pipeline.cli import PredictConfig, stage
from pipeline.terminal import status


def predict(cfg: PredictConfig) -> None:
    """Load the network, classify each image, and write the predictions."""
    with status("loading PyTorch"):
        from pipeline.evaluation.predict import predict as run
    run(cfg)


if __name__ == "__main__":
    stage(predict, PredictConfig)
