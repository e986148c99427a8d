"""A trained network as an MLflow model, which runs a copy of this file.

Runs in the process of a user who loads the model.

model.safetensors contains the weights and biases. `predict` has the same formula as
`Network.forward`, for programs without this project and PyTorch.
"""

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from safetensors.numpy import load_file


class DigitClassifier(mlflow.pyfunc.PythonModel):
    """The network 784 -> hidden (ReLU) -> 10 (softmax)."""

    def load_context(self, context):
        """Read weights (outputs, inputs) and biases (outputs,) of all layers."""
        self.tensors = load_file(context.artifacts["network"])

    def predict(self, context, model_input: np.ndarray, params=None):
        """Return the probabilities (n, 10) of images (n, 28, 28) in [0, 1].

        Other pixels are an error, because most predictions would be wrong.
        """
        low, high = model_input.min(initial=0), model_input.max(initial=0)
        if not 0 <= low <= high <= 1:  # also rejects NaN
            raise MlflowException.invalid_parameter_value(
                "pixels must be in [0, 1], with 0 for black and 1 for white, "
                f"got {low:g} to {high:g}: divide gray levels by 255"
            )
        sums = self.linear("layer_1", model_input.reshape(-1, 784))
        for number in range(2, len(self.tensors) // 2 + 1):
            sums = self.linear(f"layer_{number}", np.maximum(0, sums))
        exponentials = np.exp(sums - sums.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def linear(self, layer, inputs):
        """Return the weighted sums of a layer."""
        weights, biases = self.tensors[f"{layer}.weight"], self.tensors[f"{layer}.bias"]
        return inputs @ weights.T + biases


mlflow.models.set_model(DigitClassifier())
