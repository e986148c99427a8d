"""Finds students who submitted the same network or the same answers.

Students have different networks and questions. A wrong answer is therefore evidence if
its first `MIN_DIGITS` digits agree with another student's answer, or with the correct
answer for the other student. Whole numbers are not evidence, because they have few
possible values. Numbers near a power of ten, such as 99.98, are not evidence either,
because many probabilities are near 1 or 100%.

Measured in 150 simulated classes of 60 honest students (data set digits, 5 neurons, one
epoch, which makes many answers similar): half of the students made one mistake in most
answers, and each rounded to 1 to 8 decimals. In 701 of the 265,500 pairs, one answer
was evidence by chance; in one pair, two answers were. With three digits instead of
four, this applied to 97 pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from pipeline.base.text import counted
from pipeline.teaching.ownership import submitter
from pipeline.teaching.question import Question
from pipeline.teaching.submissions import Graded, GradedOrRejected

MIN_DIGITS = 4
MIN_EVIDENCE = 2


def shared_work(
    entries: Iterable[GradedOrRejected], questions: Iterable[Question]
) -> list[tuple[str, list[GradedOrRejected]]]:
    """Return what students share, the most answers first.

    Connected pairs are one group: the text gives the most answers of a pair.
    """
    names = [question.name for question in questions if not question.form.whole]
    found = list[_Group]()
    for one, other in combinations([_Numbers(entry, names) for entry in entries], 2):
        pair = [one.entry, other.entry]
        if len({*map(submitter, pair)}) == 1:
            continue
        equal = one.taken_from(other) | other.taken_from(one)
        is_evident = len(equal) >= MIN_EVIDENCE
        equal |= {name for name, _ in one.typed.items() & other.typed.items()}
        answers = is_evident * len(equal)
        is_network = one.entry.weights_sha256 == other.entry.weights_sha256 != ""
        if answers or is_network:
            group = _Group({answers}, {is_network}, dict.fromkeys(pair))
            connected = [x for x in found if {*x.entries} & {*pair}]
            found = [x for x in found if x not in connected]
            for each in connected:
                group = _Group(
                    group.answers | each.answers,
                    group.is_network | each.is_network,
                    each.entries | group.entries,
                )
            found.append(group)
    found.sort(key=lambda group: -max(group.answers))
    return [(group.what, [*group.entries]) for group in found]


@dataclass(frozen=True, eq=False)
class _Group:
    """Students who share their work, by pairs that are connected."""

    answers: set[int]  # the number of equal answers of each pair
    is_network: set[bool]  # for each pair, whether the two have the same network
    entries: dict[GradedOrRejected, None]

    @property
    def what(self) -> str:
        """What the pairs share, as text."""
        shared = list[str]()
        if most := max(self.answers):
            at_most = "up to " * (len(self.answers) > 1)
            shared.append(at_most + counted(most, "answer"))
        if any(self.is_network):
            some = "" if all(self.is_network) else "for some students "
            shared.append(f"{some}the network")
        return " and ".join(shared)


class _Numbers:
    """The numbers of a submission, by question."""

    def __init__(self, entry: GradedOrRejected, names: Iterable[str]) -> None:
        graded = entry.grade.answers if isinstance(entry, Graded) else ()
        self.entry = entry
        self.typed = dict(entry.answers.numbers) if entry.answers else {}
        self.full = {x.question for x in graded if x.kind == "full"}
        self.digits = {x: _digits(self.typed[x]) for x in names if x in self.typed}
        self.correct = {x.question: _digits(x.correct) for x in graded}

    def taken_from(self, other: "_Numbers") -> set[str]:
        """Return the questions with a wrong answer that is evidence of copying."""
        return {
            name
            for name, digits in self.digits.items()
            if digits in (other.digits.get(name), other.correct.get(name))
            and name not in self.full
            and digits
        }


def _digits(number: float) -> str:
    """Return the first digits of a number and its size; empty if it is not evidence."""
    few = number == float(f"{number:.{MIN_DIGITS - 2}e}")
    is_near_power = "1.0e" in f"{number:.1e}"
    return "" if few or is_near_power else f"{number:.{MIN_DIGITS - 1}e}"
