"""The bit widths of a weight of layer 1: how weights are rounded and packed.

`digits.c.jinja` in deploy/c unpacks the weights.

Every operation is either exact or rounded as IEEE 754 prescribes, so the result is the
same on every processor.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int8, Int16, UInt8

from pipeline.base.text import counted
from pipeline.core import PIXELS

TERNARY_THRESHOLD = 0.7  # times the mean absolute weight; Li et al. (2016), equation 6
CLIP_4_BITS = 3  # the largest weight with 4 bits, in mean absolute weights


@dataclass(frozen=True)
class BitWidth:
    """A bit width: weights ≈ scale · q, where q is -largest to largest."""

    bits: int
    largest: int
    # The scale of each neuron, (hidden, 1), from the absolute values of its weights.
    scales: Callable[[Float[np.ndarray, "hidden 784"]], np.ndarray]
    # q, (hidden, 784), from the weights and the scales, before it is clipped.
    rounding: Callable[[Float[np.ndarray, "hidden 784"], np.ndarray], np.ndarray]
    # The codes of the integers q, 0 to 2^bits - 1.
    encode: Callable[[Int16[np.ndarray, " n"]], np.ndarray]
    has_zero: bool = True

    def __str__(self) -> str:
        """Return the bit width in words, such as 8 bits."""
        return counted(self.bits, "bit")

    @property
    def is_coarse(self) -> bool:
        """Whether rounding changes the network substantially.

        Many integers are then `largest` or -`largest`.
        """
        return self.bits < 8

    @property
    def stored_bits(self) -> int:
        """The bits of a weight in the table.

        This is a power of 2, so that no weight crosses a byte boundary.
        """
        return 1 << (self.bits - 1).bit_length()

    def quantize(
        self, weights: Float[np.ndarray, "hidden 784"]
    ) -> tuple[Int8[np.ndarray, "hidden 784"], Float[np.ndarray, " hidden"]]:
        """Return q and the scales; a scale is 1 if all weights of a neuron are 0."""
        scale = self.scales(np.abs(weights))
        scale = np.where(scale > 0, scale, 1.0)
        q = self.rounding(weights, scale).clip(-self.largest, self.largest)
        return q.astype(np.int8), scale[:, 0]

    def fits(self, q: Int8[np.ndarray, "hidden 784"]) -> bool:
        """Return whether `q` are weights with this bit width."""
        is_in_range = -self.largest <= q.min() and q.max() <= self.largest
        return bool(is_in_range and (self.has_zero or q.all()))

    def pack(self, q: Int8[np.ndarray, "hidden 784"]) -> UInt8[np.ndarray, " bytes"]:
        """Return the table: pixel by pixel, and for each pixel neuron by neuron.

        There are no gaps between pixels. The lowest bits of a byte contain its first
        weight. Unused bits of the last byte are 0.
        """
        assert self.fits(q), "a weight does not fit in its bits"
        codes = self.encode(q.T.ravel().astype(np.int16)).astype(np.uint8)
        # (784 * hidden, stored_bits), the lowest bit first
        bits = codes[:, None] >> np.arange(self.stored_bits, dtype=np.uint8) & 1
        return np.packbits(bits, bitorder="little")


def round_half_up(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Round to the nearest integer; round ties up."""
    return np.floor(values + 0.5)


def _row_sums(sizes: Float[np.ndarray, "hidden 784"]) -> Float[np.ndarray, "hidden 1"]:
    """Add non-negative numbers; the result does not depend on their order.

    The numbers are added as integers of at most 2^52, so the sums are below 2^62.
    """
    _, exponent = np.frexp(sizes.max(axis=1, keepdims=True))
    integers = np.rint(sizes * np.ldexp(1.0, 52 - exponent)).astype(np.int64)
    totals = integers.sum(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(np.ldexp(totals, exponent - 52))


def _means(sizes: Float[np.ndarray, "hidden 784"]) -> Float[np.ndarray, "hidden 1"]:
    return np.asarray(_row_sums(sizes) / PIXELS)


def _are_large(sizes: Float[np.ndarray, "hidden 784"]) -> Bool[np.ndarray, "..."]:
    return np.asarray(sizes > TERNARY_THRESHOLD * _means(sizes))


def _mean_of_large(
    sizes: Float[np.ndarray, "hidden 784"],
) -> Float[np.ndarray, "hidden 1"]:
    large = _are_large(sizes)
    count = np.maximum(large.sum(axis=1, keepdims=True), 1)
    return np.asarray(_row_sums(sizes * large) / count)


BIT_WIDTHS = {
    width.bits: width
    for width in (
        BitWidth(
            bits=8,
            largest=127,
            scales=lambda sizes: sizes.max(axis=1, keepdims=True) / 127,
            rounding=lambda weights, scale: round_half_up(weights / scale),
            encode=lambda q: q % 256,  # two's complement
        ),
        BitWidth(
            bits=4,
            largest=7,
            scales=lambda sizes: CLIP_4_BITS * _means(sizes) / 7,
            rounding=lambda weights, scale: round_half_up(weights / scale),
            encode=lambda q: q + 8,
        ),
        BitWidth(
            bits=2,
            largest=1,
            scales=_mean_of_large,
            rounding=lambda weights, _: np.copysign(
                _are_large(np.abs(weights)), weights
            ),
            encode=lambda q: q % 3,
        ),
        BitWidth(
            bits=1,
            largest=1,
            scales=_means,
            rounding=lambda weights, _: np.where(weights < 0, -1, 1),
            encode=lambda q: q > 0,
            has_zero=False,
        ),
    )
}
