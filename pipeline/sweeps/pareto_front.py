"""The Pareto front of networks: their accuracy and their size."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def pareto_front(
    items: Iterable[Item],
    *,
    size: Callable[[Item], float],
    accuracy: Callable[[Item], float],
) -> list[Item]:
    """Return the items that are more accurate than all items of at most their size."""
    front: list[Item] = []
    for item in sorted(items, key=lambda each: (size(each), -accuracy(each))):
        if not front or accuracy(item) > accuracy(front[-1]):
            front.append(item)
    return front
