"""All that is found inside a network, as numbers, tables, pictures and plain words."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline import SIDE, files, plots
from pipeline.datasets.dataset import Dataset
from pipeline.interpret import neurons
from pipeline.interpret.neurons import CorrelatedPair, FittedLine
from pipeline.model.trained import TrainedModel

SHOWN = 20  # neurons that text and pictures show, those that matter most
EXCITING = 4  # pictures that a neuron's row shows of each kind
ALIKE = 0.9  # correlation from which two neurons say nearly the same: 0.9² = 81 %
PAIRS = 100  # in the table
STEPS = (0, 10, 100)  # downhill, of the line that the path begins with


@dataclass(frozen=True)
class LinearProbe:
    """What a neuron adds up, as a line above one pixel: y = m * x + c."""

    neuron: int  # the one that costs most, from 0
    pixel: int  # the one that tells most about it
    lines: dict[str, FittedLine]  # after so many steps


@dataclass(frozen=True)
class ModelAnalysis:
    """A network, and what is found in it with the pictures of its data set."""

    trained: TrainedModel
    dataset: Dataset
    pictures: int  # that it learned from
    lit: Int[np.ndarray, "784"]  # of these, the pictures in which each pixel is not 0
    kept: Bool[np.ndarray, "784 hidden"] | None  # see neurons.unchanged
    fires: Float[np.ndarray, " hidden"]  # share of the pictures that it learned from
    sums: Float[np.ndarray, "n hidden"]  # for the test pictures, before ReLU
    means: Float[np.ndarray, "hidden 10"]  # after ReLU, for each digit
    accuracy: float  # on the test pictures
    costs: Float[np.ndarray, "hidden 11"]  # of it without a neuron; see neurons.costs
    alike: list[CorrelatedPair]  # the closest
    alike_in_all: int  # pairs from ALIKE on

    @classmethod
    def of(cls, trained: TrainedModel, dataset: Dataset) -> "ModelAnalysis":
        """Look into a network."""
        network, test = trained.network, dataset.test
        train = dataset.split(trained.split).train
        history = trained.history()
        sums = neurons.hidden_pre_activations(network, test.images)
        outputs = np.maximum(sums, 0)  # ReLU
        answers = network.logits(test.images).numpy()
        correlation = neurons.correlations(outputs, outputs)
        return cls(
            trained=trained,
            dataset=dataset,
            pictures=len(train),
            lit=neurons.nonzero_counts(train.images),
            kept=None if history is None else neurons.frozen_weights(history),
            fires=neurons.activation_rates(network, train.images),
            sums=sums,
            means=neurons.means_by_label(outputs, test.labels),
            accuracy=float(neurons.accuracies(answers, test.labels)[0]),
            costs=neurons.ablation_costs(network, outputs, test.labels),
            alike=neurons.correlated_pairs(correlation, most=PAIRS),
            alike_in_all=int(np.triu(correlation >= ALIKE, k=1).sum()),
        )

    @property
    def unlit(self) -> Bool[np.ndarray, "784"]:
        """The pixels that are dark in all pictures that it learned from."""
        return np.asarray(self.lit == 0)

    @property
    def hidden(self) -> int:
        """The neurons of layer_1."""
        return len(self.fires)

    @property
    def order(self) -> list[int]:
        """The neurons of layer_1, from 0, the one that costs most first."""
        return [int(j) for j in np.argsort(-self.costs[:, 0], kind="stable")]

    def excited(self, neuron: int) -> list[int]:
        """Return the test pictures, the one that excites a neuron most first."""
        return [int(row) for row in np.argsort(-self.sums[:, neuron], kind="stable")]

    @cached_property
    def beginning(self) -> LinearProbe:
        """The line with which the path to the whole network begins."""
        neuron = self.order[0]
        pixels = self.dataset.test.images.reshape(-1, SIDE * SIDE) / np.float32(255)
        y = self.sums[:, neuron]
        pixel = int(np.abs(neurons.correlations(pixels, y[:, None])).argmax())
        x = pixels[:, pixel]
        lines = {f"after {n} steps": neurons.fit_line(x, y, steps=n) for n in STEPS}
        end = {"in the end": neurons.fit_line(x, y, steps=None)}
        return LinearProbe(neuron, pixel, lines | end)

    def metrics(self) -> dict[str, int]:
        """Return the numbers that MLflow shows."""
        never = {} if self.kept is None else {"never_changed": int(self.kept.sum())}
        return {
            "parameters": self.trained.network.size,
            "never_learned": int(self.unlit.sum()) * self.hidden,
            **never,
            "never_fire": int((self.fires == 0).sum()),
            "always_fire": int((self.fires == 1).sum()),
            "alike": self.alike_in_all,
        }

    def summary(self) -> dict[str, Any]:
        """Return all but the tables of pixels and pairs, as JSON holds it."""
        start = self.beginning
        return {
            **self.metrics(),
            "dataset": self.dataset.name,
            "split": self.trained.split,
            "training_pictures": self.pictures,
            "accuracy": self.accuracy,
            "arrays": [vars(array) for array in self.trained.network.arrays()],
            "never_lit": np.flatnonzero(self.unlit).tolist(),
            "alike_from": ALIKE,
            "closest": vars(self.alike[0]) if self.alike else None,
            "neurons": self.neurons(),
            "path": {
                "neuron": f"N1{start.neuron + 1}",
                "pixel": start.pixel,
                "lines": {name: vars(line) for name, line in start.lines.items()},
            },
        }

    def neurons(self) -> list[dict[str, Any]]:
        """Return what each neuron of layer_1 is for."""
        rows = []
        for j in range(self.hidden):
            order = self.excited(j)
            rows.append(
                {"neuron": f"N1{j + 1}", "fires": float(self.fires[j])}
                | {f"mean_{d}": float(mean) for d, mean in enumerate(self.means[j])}
                | {"most": order[:EXCITING], "least": order[: -EXCITING - 1 : -1]}
                | {"cost": float(self.costs[j, 0])}
                | {f"cost_{d}": float(c) for d, c in enumerate(self.costs[j, 1:])}
            )
        return rows

    def pixels(self) -> list[dict[str, Any]]:
        """Return how often each pixel is lit, how many of its weights never changed."""
        return [
            {"pixel": k, "row": k // SIDE, "column": k % SIDE, "lit": int(self.lit[k])}
            | ({} if self.kept is None else {"unchanged": int(self.kept[k].sum())})
            for k in range(SIDE * SIDE)
        ]

    def write(self, folder: Path) -> None:
        """Write the tables and the pictures."""
        table = self.neurons()
        for row in table:
            row |= {how: " ".join(map(str, row[how])) for how in ("most", "least")}
        files.write_csv(folder / "neurons.csv", table)
        files.write_csv(folder / "pixels.csv", self.pixels())
        (folder / "alike.csv").write_text("one,other,correlation\n")  # of one neuron
        if self.alike:
            files.write_csv(folder / "alike.csv", [vars(pair) for pair in self.alike])
        shown = self.order[:SHOWN]
        names = [f"N1{j + 1}" for j in shown]
        drawn = plots.neuron_responses(self.means[shown], self.costs[shown], names)
        drawn.save(folder / "neurons.png")
        plots.image_rows([self._row(j) for j in shown], text=200).save(
            folder / "exciting.png"
        )
        plots.pixel_usage(self.lit / self.pictures).save(folder / "pixels.png")
        pixel, lines = self.beginning.pixel, self.beginning.lines
        few = slice(1500)  # points that can still be told apart
        plots.fitted_lines(
            self.dataset.test.images.reshape(-1, SIDE * SIDE)[few, pixel] / 255,
            self.sums[few, self.beginning.neuron],
            {name: (line.m, line.c) for name, line in lines.items()},
            xlabel=f"x: pixel in row {pixel // SIDE}, column {pixel % SIDE} (1 is lit)",
            ylabel=f"y: what neuron N1{self.beginning.neuron + 1} adds up",
            title=f"one weight explains {lines['in the end'].explained:.0%} of y",
        ).save(folder / "path.png")

    def _row(self, neuron: int) -> plots.ImageRow:
        """Show a neuron's weights and the pictures that excite it most and least."""
        weights = self.trained.network.layer_1.get_weights()[0].T[[neuron]]
        scale = float(np.quantile(np.abs(weights), 0.99))
        template = plots.diverging_colours(weights, scale=scale, unlearned=self.unlit)[
            0
        ]
        order, test = self.excited(neuron), self.dataset.test
        shown = [("most", row) for row in order[:EXCITING]]
        shown += [("least", row) for row in order[: -EXCITING - 1 : -1]]
        pictures = {
            f"{how} {self.sums[row, neuron]:+.1f}: #{row}": test.images[row]
            for how, row in shown
        }
        told = [
            f"N1{neuron + 1}",
            f"fires for {_share(self.fires[neuron])}",
            f"switched off: {-self.costs[neuron, 0]:+.2%}",
            f"weights: red -{scale:.2f} and below,",
            f"white 0, blue +{scale:.2f} and above,",
            "grey never learned",
        ]
        return plots.ImageRow({"its weights": template, **pictures}, told)

    def told(self) -> str:
        """Say all of it in plain words."""
        parts = {
            "HOW MANY NUMBERS, AND WHY": self._sizes(),
            "FROM y = m·x + c TO HERE": self._path(),
            "WHAT WAS NEVER LEARNED": self._never(),
            "WHAT EACH NEURON IS FOR": self._purposes(),
        }
        return "\n\n".join("\n".join([head, *part]) for head, part in parts.items())

    def _sizes(self) -> Iterator[str]:
        arrays = self.trained.network.arrays()
        yield f"{'array':16}{'as in Keras':>14}{'in PyTorch':>14}   numbers  because"
        for array in arrays:
            shapes = f"{array.keras_shape!s:>14}{array.torch_shape!s:>14}"
            yield f"{array.name:16}{shapes}{array.size:10,}  {array.why}"
        yield f"{'together':44}{sum(array.size for array in arrays):10,}"

    def _path(self) -> Iterator[str]:
        pixel, lines = self.beginning.pixel, self.beginning.lines
        name, hidden = f"N1{self.beginning.neuron + 1}", self.hidden
        test = self.dataset.test
        sums = neurons.pre_activations(self.trained.network, test.images[0])
        one, lit = sums[name], int(np.count_nonzero(test.images[0]))
        logits = np.array([found.z for found in [*sums.values()][hidden:]])
        first, second = (int(digit) for digit in np.argsort(-logits)[:2])
        yield from _wrapped(f"""1. One weight. y = m·x + c, where x is one pixel (row
            {pixel // SIDE}, column {pixel % SIDE}; 0 is dark, 1 is lit) and y what
            neuron {name} adds up, in {len(test):,} test pictures. A line that starts
            flat, at m = 0 and c = 0, is improved by small steps downhill, each making
            the error smaller. It is off by so much: the root of the mean of the squared
            distances between the y of the line and the neuron's.""")
        for when, line in lines.items():
            equation = f"y = {line.m:7.3f}·x {line.c:+.3f}"
            yield f"     {when:15}  {equation:22}  off by {line.missed:.2f}"
        yield from _wrapped(f"""2. 784 weights. One pixel explains
            {lines["in the end"].explained:.0%} of how y varies. {name} itself has a
            weight for each: y = M1·X1 + M2·X2 + ... + M784·X784 + C, and nothing is
            left to explain. In test picture 0, a {test.labels[0]}, {lit} pixels are
            lit; their terms come to {one.z - one.bias:.4f}, C is {one.bias:.4f}, so y =
            {one.z:.4f}. ReLU keeps what is above 0: {name} = {max(0.0, one.z):.4f}.""")
        yield from _wrapped(f"""3. {hidden} neuron{"s" * (hidden > 1)}, each with 784
            weights and a C of its own. Of the same picture they say:""")
        said = [
            f"N1{j:<3}{max(0.0, sums[f'N1{j}'].z):6.2f}"
            for j in range(1, min(hidden, SHOWN) + 1)
        ]
        for row in range(0, len(said), 5):
            yield "     " + "   ".join(said[row : row + 5])
        numbers = f"these {hidden} numbers" if hidden > 1 else "this number"
        label = int(test.labels[0])
        wrong = f", wrongly: it is a {label}" * (first != label)
        yield from _wrapped(f"""4. The network. Each digit adds up {numbers}, with
            weights of its own: {first} comes to {logits[first]:.2f}, the next,
            {second}, to {logits[second]:.2f}. Softmax turns the ten sums into shares:
            {first} gets {neurons.softmax(logits)[first]:.2%}{wrong}. The network reads
            {self.accuracy:.2%} of the test pictures rightly. Its
            {self.trained.network.size:,} numbers were found as m and c were: by many
            small steps downhill.""")

    def _never(self) -> Iterator[str]:
        unlit = int(self.unlit.sum())
        told = f"""{unlit} of 784 pixels are dark in all {self.pictures:,} training
            pictures. So {unlit} x {self.hidden} = {unlit * self.hidden:,} weights are
            only ever multiplied by 0, and nothing tells them to change."""
        if not unlit:
            told = f"""Each of the 784 pixels is lit in some of the {self.pictures:,}
                training pictures, so each weight can be told to change."""
        if not unlit and self.kept is not None:
            told += f" {int(self.kept.sum()):,} never did."
        elif self.kept is None:
            told += " There is no history beside the network to confirm it."
        else:
            told += f""" Compared bit by bit, {int(self.kept[self.unlit].sum()):,} of
                them are after every epoch as they were before training."""
            others = int(self.kept[~self.unlit].sum())
            if others:
                told += f""" {others:,} more never changed either: whenever their pixel
                    was lit, their neuron was silent, or the answer certain already."""
        yield from _wrapped(told, indent=0)
        for when, chosen in (("never", self.fires == 0), ("always", self.fires == 1)):
            names = [f"N1{j + 1}" for j in np.flatnonzero(chosen)]
            shown = ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
            yield from _wrapped(f"Neurons that {when} fire: {shown or 'none'}")
        first = [f"{p.one}, {p.other} {p.correlation:.2f}" for p in self.alike[:3]]
        yield from _wrapped(
            f"""Pairs that do nearly the same: {self.alike_in_all or "none"}, from a
            correlation of {ALIKE} on, where one tells {ALIKE**2:.0%} of how the other
            varies. The closest: {"; ".join(first) or "there is one neuron only"}""",
            indent=0,
        )

    def _purposes(self) -> Iterator[str]:
        yield f"{'':15}says on average      excited      excited      without it fewer"
        heads = "most to   least to   most by      least by     are read rightly"
        yield f"neuron  fires  {heads}"
        shown = self.order[:SHOWN]
        decimals = 1 if self.costs[shown, 0].max() >= 0.01 else 2
        for j in shown:
            head = f"N1{j + 1:<5} {_share(self.fires[j]):>5}  "
            if self.sums[:, j].max() <= 0:
                yield f"{head}is silent: it says 0 to all test pictures"
                continue
            mean, cost, order = self.means[j], self.costs[j], self.excited(j)
            most, least = int(mean.argmax()), int(mean.argmin())
            worst = int(cost[1:].argmax())
            yield (
                f"{head}{most}: {mean[most]:5.2f}  {least}: {mean[least]:5.2f}   "
                f"{f'image={order[0]}':13}{f'image={order[-1]}':13}"
                f"{cost[0]:6.{decimals}%}, of the {worst}s {cost[1 + worst]:5.1%}"
            )
        if self.costs[shown, 0].min() < 0:
            yield "below 0: more are read rightly without it"
        if self.hidden > SHOWN:
            yield f"... and {self.hidden - SHOWN} more in neurons.csv"


def _share(share: float) -> str:
    """Write a share in percent; 0 % and 100 % are said only where they are exact."""
    if 0 < share <= 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _wrapped(text: str, *, indent: int = 3) -> list[str]:
    """Break a paragraph into lines, all but the first indented."""
    return textwrap.wrap(" ".join(text.split()), 88, subsequent_indent=" " * indent)
