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

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
    found = list[tuple[set[int], dict[GradedOrRejected, None]]]()
    for one, other in combinations([_Numbers(entry, names) for entry in entries], 2):
        pair = [one.entry, other.entry]
        if len({*map(submitter, pair)}) == 1:
            continue
        equal = one.taken_from(other) | other.taken_from(one)
        is_evident = len(equal) >= MIN_EVIDENCE
        equal |= {name for name, _ in one.typed.items() & other.typed.items()}
        answers = is_evident * len(equal)
        if answers or one.entry.weights_sha256 == other.entry.weights_sha256 != "":
            counts, entries = {answers}, dict.fromkeys(pair)
            connected = [group for group in found if {*group[1]} & {*pair}]
            found = [group for group in found if group not in connected]
            for other_counts, others in connected:
                counts, entries = counts | other_counts, others | entries
            found.append((counts, entries))
    found.sort(key=lambda group: -max(group[0]))
    return [(_shared(counts, [*same]), [*same]) for counts, same in found]


def _shared(counts: set[int], entries: Sequence[GradedOrRejected]) -> str:
    """Return what a group shares; `counts` has the equal answers of each pair."""
    shared, networks = list[str](), defaultdict[str, list[str]](list)
    if most := max(counts):
        shared.append("up to " * (len(counts) > 1) + counted(most, "answer"))
    for entry in entries:
        networks[entry.weights_sha256].append(submitter(entry))
    same = [x for sha256, x in networks.items() if sha256 and len(x) > 1]
    if same:
        pairs = "; ".join(" and ".join(names) for names in same)
        only = f" (only {pairs})" * (len(same[0]) < len(entries))
        shared.append(f"the network{only}")
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
