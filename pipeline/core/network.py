"""The network of the exercise: 784 pixels -> hidden neurons with ReLU -> 10 classes.

The two dense layers, `layer_1` and `layer_2`, are initialized as in Keras and return
their weights in Keras's layout. The network computes its gradients without autograd.
Tests compare the gradients with autograd and with finite differences.

Arguments named `images` and `levels` are gray levels, 0 to 255: `images` is an array
(n, 28, 28), and `levels` is a tensor (784, batch). `pixels` are in [0, 1].

In the tensors of a batch (`levels`, `hidden`, `logits`, `targets`), each image is a
column. In this layout, products, softmax and sums are faster with one thread, as in
training. The arguments and results of `forward`, `logits` and `predict` have a row for
each image, as in PyTorch and Keras.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Real, UInt8
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from pipeline.core import CLASSES, PIXELS, SIDE, WHITE, UserError
from pipeline.core.epoch import Snapshot
from pipeline.core.metrics import predicted

BLOCK = 250  # images; see `blocks`
GrayLevels = UInt8[np.ndarray, "n 28 28"] | UInt8[Tensor, "n 28 28"]


def check_images(images: object) -> UInt8[np.ndarray, "n 28 28"]:
    """Return gray levels, 0 to 255, as an array, or raise a `UserError`.

    Pixels in [0, 1] are rejected, because they would be scaled twice, and most
    predictions would be wrong.
    """
    images = images.detach().cpu() if isinstance(images, Tensor) else images
    try:
        array = np.asarray(images)
    except (TypeError, ValueError):  # lists of several lengths; bfloat16, sparse
        got = f"{getattr(images, 'dtype', type(images).__name__)} without a NumPy array"
    else:
        if array.dtype == np.uint8 and array.shape[1:] == (SIDE, SIDE):
            return np.require(array, requirements=["C", "W"])  # PyTorch needs both
        got = f"{array.dtype} with {array.shape}"
    raise UserError(
        "images must be gray levels, 0 to 255, as uint8 with the shape (n, 28, 28), "
        f"got {got}"
    )


def blocks(
    images: Real[np.ndarray, "n 28 28"],
) -> list[Real[np.ndarray, "block 28 28"]]:
    """Divide images into blocks whose pixels fit in the processor's cache.

    For all images of a data set, this is faster than one block.
    """
    starts = range(0, max(1, len(images)), BLOCK)  # without images, one empty block
    return [images[row : row + BLOCK] for row in starts]


class Dense(nn.Linear):
    """A fully connected layer: y = x W^T + b, where a row of W belongs to a neuron.

    PyTorch stores W as (neurons, inputs). Keras stores the transpose, the kernel.
    """

    def __init__(
        self, inputs: int, neurons: int, *, generator: torch.Generator
    ) -> None:
        """Draw W uniformly from +-sqrt(6 / (inputs + neurons)), and set b to 0.

        Source: Glorot and Bengio, Understanding the difficulty of training deep
        feedforward neural networks (2010), equation 16. This initialization is the
        default of Keras's Dense.
        """
        # Both are explicit, because a program can change PyTorch's defaults.
        super().__init__(inputs, neurons, device="cpu", dtype=torch.float32)
        nn.init.xavier_uniform_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def reset_parameters(self) -> None:
        """Skip PyTorch's initialization, which would use the global generator."""

    def get_weights(self) -> list[Float[np.ndarray, "..."]]:
        """Return copies of kernel (inputs, neurons) and bias (neurons,), like Keras."""
        kernel, bias = self.weight.detach().T, self.bias.detach()
        return [kernel.numpy().copy(), bias.numpy().copy()]


class Network(nn.Module):
    """Flatten 28x28 -> layer_1: Dense `hidden`, ReLU -> layer_2: Dense 10.

    Attributes:
        vector: All parameters, (p,), which an optimizer updates as a whole. The
            parameters of the layers are views of this vector.
        matrices: The same parameters as matrices; see `views`.
    """

    def __init__(self, *, hidden: int, generator: torch.Generator) -> None:
        """Draw the initial weights.

        Args:
            hidden: Neurons in layer_1. With 20, the network has 784*20 + 20 + 20*10 +
                10 = 15,910 parameters.
            generator: Source of the initial weights.
        """
        super().__init__()
        self.layer_1 = Dense(PIXELS, hidden, generator=generator)
        self.layer_2 = Dense(hidden, CLASSES, generator=generator)
        self.vector = parameters_to_vector(self.parameters()).detach()
        vector_to_parameters(self.vector, self.parameters())
        self.matrices = self.views(self.vector)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make `copy` and `pickle` recreate the network from arrays.

        Otherwise, copied parameters would not be views of `vector`, and a network with
        tensors could not be sent to a worker.
        """
        return network_from, (snapshot(self),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Network":
        """Reject a conversion, such as by `double` or `cuda`.

        After a conversion, the parameters of the layers would not be views of `vector`.
        """
        if fn(self.vector) is not self.vector:
            raise UserError(
                "a network must stay float32 on the CPU: "
                "convert its state_dict() instead"
            )
        return self

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401
        """Copy tensors; `assign` would replace the views of `vector`."""
        if assign:
            raise UserError("a network must keep its tensors: leave out assign")
        return super().load_state_dict(state_dict, strict)

    def views(self, vector: Float[Tensor, " p"]) -> list[Float[Tensor, "_ _"]]:
        """Split a vector with one number per parameter into the tensors of the layers.

        Each neuron has a row: the shape of a weight is (neurons, inputs), and the shape
        of a bias is (neurons, 1).
        """
        parameters = [*self.parameters()]
        parts = vector.split([tensor.numel() for tensor in parameters])
        return [p.view(len(t), -1) for p, t in zip(parts, parameters, strict=True)]

    def forward(self, pixels: Float[Tensor, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits of pixels in [0, 1], as PyTorch's programs call a network.

        In this project, `logits` computes all results. The two differ only by rounding.
        """
        hidden = self.layer_1(pixels.flatten(start_dim=1)).relu()  # (n, hidden)
        logits: Tensor = self.layer_2(hidden)  # (n, 10)
        return logits

    def hidden_and_logits(
        self,
        levels: Float[Tensor, "784 batch"],
        *,
        logits: Float[Tensor, "10 batch"] | None = None,
    ) -> tuple[Float[Tensor, "hidden batch"], Float[Tensor, "10 batch"]]:
        """Compute the outputs of layer_1 and the logits of a batch.

        Args:
            levels: The gray levels of the images, 0 to 255.
            logits: The tensor that receives the logits; by default, a new tensor.
        """
        # (hidden, 784), (hidden, 1), (10, hidden), (10, 1)
        w_1, b_1, w_2, b_2 = self.matrices
        # addmm(b, w, x, alpha=a) is b + a (w x). With a = 1/255, the product turns gray
        # levels into pixels. A method with a final _ works in place.
        hidden = torch.addmm(b_1, w_1, levels, alpha=1 / WHITE).relu_()
        return hidden, torch.addmm(b_2, w_2, hidden, out=logits)

    def gradients(
        self,
        levels: Float[Tensor, "784 batch"],
        targets: Float[Tensor, "10 batch"],
        *,
        out: list[Float[Tensor, "_ _"]],
        logits: Float[Tensor, "10 batch"] | None = None,
    ) -> None:
        """Compute the gradient of the mean cross-entropy of a batch.

        Args:
            levels: The gray levels of the images, 0 to 255.
            targets: The labels, one-hot: 1 in the row of the class, else 0.
            out: The tensors that receive the gradients of `self.matrices`. If `out` are
                the `views` of a vector, the vector then contains the whole gradient.
            logits: The tensor that receives the logits; by default, a new tensor.

        Source: Goodfellow, Bengio, Courville, Deep Learning (2016), algorithm 6.4. The
        derivative of softmax and cross-entropy together, p - y, is equation 4.109 of
        Bishop, Pattern Recognition and Machine Learning (2006).
        """
        _, _, w_2, _ = self.matrices
        d_w_1, d_b_1, d_w_2, d_b_2 = out  # d_x is the gradient of x
        # Forward pass: from the pixels to the logits.
        hidden, logits = self.hidden_and_logits(levels, logits=logits)
        # Backward pass: the chain rule, from the loss back to each layer's weights.
        # The loss is a mean over the batch: the derivative is (p - y) / batch.
        count = _as_tensor(levels.shape[1])
        d_logits = logits.softmax(dim=0).sub_(targets).div_(count)  # (10, batch)
        torch.mm(d_logits, hidden.T, out=d_w_2)  # (10, hidden)
        torch.sum(d_logits, dim=1, keepdim=True, out=d_b_2)  # (10, 1)
        # The slope of ReLU is 1 where its output is positive, else 0.
        d_hidden = torch.mm(w_2.T, d_logits).mul_(hidden.sign())  # (hidden, batch)
        # (hidden, 784); with beta=0, the first argument is ignored.
        torch.addmm(d_w_1, d_hidden, levels.T, beta=0, alpha=1 / WHITE, out=d_w_1)
        torch.sum(d_hidden, dim=1, keepdim=True, out=d_b_1)  # (hidden, 1)

    @torch.no_grad()
    def logits(self, images: Real[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits of gray levels; softmax gives probabilities.

        The images are not checked. The last bits depend on the number of threads.
        """
        rows = (torch.from_numpy(block).flatten(1).float() for block in blocks(images))
        return torch.cat([self.hidden_and_logits(x.T)[1] for x in rows], dim=1).T

    def predict(self, images: GrayLevels) -> Float[np.ndarray, "n 10"]:
        """Return the probability of each class for gray-level images, as in Keras.

        Raises:
            UserError: If the images are not uint8 with the shape (n, 28, 28).
        """
        return np.asarray(self.logits(check_images(images)).softmax(dim=1))

    def classify(self, images: GrayLevels) -> Int[np.ndarray, " n"]:
        """Return the most probable class of gray-level images.

        Raises:
            UserError: See `predict`.
        """
        return predicted(self.logits(check_images(images)))

    @property
    def hidden(self) -> int:
        """The number of neurons in layer_1."""
        return self.layer_1.out_features

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases of all layers."""
        return self.vector.numel()


@cache
def _as_tensor(number: int) -> Float[Tensor, ""]:
    """Convert a number once, because converting it in each step is slower."""
    return torch.tensor(number, dtype=torch.float32)


def snapshot(network: Network) -> Snapshot:
    """Copy the tensors of a network, by name, with PyTorch's shapes."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def network_from(tensors: Snapshot) -> Network:
    """Create a network from its tensors; the inverse of `snapshot`."""
    hidden = tensors["layer_1.bias"].size
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network
