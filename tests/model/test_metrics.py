import numpy as np
import pytest
import torch

from pipeline.model.metrics import accuracy, cross_entropy, tensor_statistics

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 30.0, -40.0], [1.0, 1.5, 1.4]])
LABELS = torch.tensor([0, 1, 2])


def test_loss_equals_numpys():
    logits = LOGITS.double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(shares[[0, 1, 2], LABELS]).mean()
    assert cross_entropy(LOGITS, LABELS).item() == pytest.approx(expected, rel=1e-6)


def test_the_loss_of_a_certain_error_is_finite():
    loss = cross_entropy(torch.tensor([[500.0, -500.0]]), torch.tensor([1]))
    assert loss.item() == 1000


def test_accuracy_is_the_fraction_of_correct_rows():
    assert accuracy(LOGITS, LABELS).item() == pytest.approx(2 / 3)


def test_statistics_of_a_tensor():
    tensor = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    assert tensor_statistics({"kernel": tensor}) == {
        "weights/kernel/norm": 5,
        "weights/kernel/min": -4,
        "weights/kernel/max": 3,
        "weights/kernel/zeros": 0.5,
    }
