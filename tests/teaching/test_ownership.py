"""Whose submission it is: the ID in the answers, the folder's name, and the list."""

from pathlib import Path

import pytest

from pipeline.teaching.answers import Answers
from pipeline.teaching.class_list import ListedStudent, read_students
from pipeline.teaching.grading import SubmissionGrade, Training
from pipeline.teaching.ownership import (
    Roster,
    one_for_each_id,
    with_owners,
    with_submitted_ids,
)
from pipeline.teaching.submissions import Graded, Rejected

FILE, TEXT = "_assignsubmission_file_", "_assignsubmission_onlinetext_"
NAMES = {"a1": "Ana Ruiz", "b2": "Ben Oz", "j7": "Jo Doe", "j8": "Jo Doe"}
LISTED = {x: ListedStudent(x, name) for x, name in NAMES.items()}
USED = "another submission with the ID a1 is used instead"
OTHERS = "its ID a1 is that of another student in the list"
TWICE = "2 submissions have the ID a1: only one can be graded, so delete the others"


def graded(place, student, training=Training.SAME):
    grade = SubmissionGrade(training, 0.0, 0.0, 0.0, 0.9, 0.9, (), {})
    given = Answers(student, "course", {})
    others = dict.fromkeys(("torch", "questions", "sha256"), "")
    others |= {"is_as_written": True, "grade": grade}
    return Graded(place, student, {}, {}, answers=given, **others)


def other(place, student):
    return graded(place, student, Training.OTHER)


def rejected(place, student=""):
    return Rejected(place, student, "unreadable", is_empty=not student)


def settle(entries, listed):
    """Return the place, the ID and the problem of each entry, by place."""
    found = one_for_each_id(with_owners(entries, listed))
    shown = [(x.place, x.student, getattr(x, "problem", "")) for x in found]
    ids = [x.student for x in found if x.student and isinstance(x, Graded)]
    assert len({*ids}) == len(ids)
    return sorted(shown)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # The folder without files is left out, wherever it is.
        (
            [rejected("Ana Ruiz_1" + TEXT), graded("Ana Ruiz_1" + FILE, "a1")],
            [("Ana Ruiz_1" + FILE, "a1", "")],
        ),
        # If both are empty, one is kept, and its student has submitted.
        (
            [rejected("Ana Ruiz_1" + FILE), rejected("Ana Ruiz_1" + TEXT)],
            [("Ana Ruiz_1" + FILE, "a1", "unreadable")],
        ),
        # Two unreadable submissions of one student are one line and one page.
        (
            [rejected("Ana Ruiz_1"), rejected("Ruiz Ana.zip")],
            [("Ana Ruiz_1", "a1", TWICE), ("Ruiz Ana.zip", "a1", TWICE)],
        ),
        # A student who enters another student's ID gets a separate line and no points.
        (
            [graded("Ana Ruiz_1", "a1"), graded("Ben Oz_2", "a1")],
            [("Ana Ruiz_1", "a1", ""), ("Ben Oz_2", "b2", OTHERS)],
        ),
        (
            [
                other("Ana Ruiz_1", "a1"),
                graded("Ben Oz_2", "a1"),
                other("Oz Ben", "b2"),
            ],
            [
                ("Ana Ruiz_1", "a1", ""),
                ("Ben Oz_2", "", USED.replace("a1", "b2")),
                ("Oz Ben", "b2", ""),
            ],
        ),
        # This holds even if the other student has submitted nothing.
        (
            [graded("Ben Oz_2", "a1")],
            [("Ben Oz_2", "b2", OTHERS)],
        ),
        # An unreadable second attempt does not cost the student any points.
        (
            [other("Ana Ruiz_1", "a1"), rejected("Ruiz Ana.zip", "b2")],
            [("Ana Ruiz_1", "a1", ""), ("Ruiz Ana.zip", "", USED)],
        ),
        # A graded submission belongs to its ID, even if it has the name of a student.
        ([graded("Ben Oz_2", "b22")], [("Ben Oz_2", "b22", "")]),
        # Two students have this name.
        ([rejected("Jo Doe_3")], [("Jo Doe_3", "", "unreadable")]),
        # Only the assigned network decides.
        ([other("1", "a1"), graded("2", "a1")], [("1", "", USED), ("2", "a1", "")]),
        (
            [graded("1", "a1"), graded("2", "a1")],
            [("1", "a1", TWICE), ("2", "a1", TWICE)],
        ),
        (
            [other("1", "a1"), rejected("2", "a1")],
            [("1", "a1", TWICE), ("2", "a1", TWICE)],
        ),
    ],
)
def test_each_submission_belongs_to_one_student_or_to_nobody(entries, expected):
    assert settle(entries, LISTED) == expected


@pytest.mark.parametrize("name", [FILE, FILE[:-1], ".zip", "_12.ZIP", ""])
def test_an_id_is_in_a_name_only_as_a_whole(name):
    for student, begins in (
        ("ana", "ana"),
        ("ana", "Homework of ANA"),
        ("ana.ruiz", "1_ana.ruiz"),
        ("b@x.org", "b@x.org_1"),
        ("1234", "hw_1234"),
    ):
        entry = graded(begins + name, student)
        assert Roster([entry, graded("x", "x")], {}).misnamed == []
    for student, begins in (
        ("ana", "anabel"),
        ("ana", "ana.ruiz"),
        ("ruiz", "ana.ruiz_1"),
        ("x.org", "b@x.org_1"),
        ("ana", "ana-b"),
        ("b", "ana+b"),
    ):
        named = [graded(x, x) for x in "xyz"]
        entry = graded(begins + name, student)
        assert Roster([entry, *named], {}).misnamed == [entry], begins


def test_two_students_with_the_same_name_can_have_a_folder_each():
    named = [graded(x, x) for x in ("a1", "b2")]
    for student, misnamed in (("j7", False), ("j8", False), ("x9", True)):
        entry = graded("Jo Doe_3" + FILE, student)
        assert Roster([entry, *named], LISTED).misnamed == [entry] * misnamed


@pytest.mark.parametrize(
    ("others", "ids"),
    [
        ([], ["j7"]),
        ([graded("Jo Doe_4", "j8")], ["j7", "j8"]),
        ([rejected("Jo Doe_4", "j7")], ["", "j7"]),  # nobody else loses a submission
    ],
)
def test_an_unreadable_submission_has_the_id_in_questions_md_if_nobody_else_has_it(
    others, ids
):
    entry = Rejected("Jo Doe_3", "", "unreadable", id_in_questions="j7")
    found = one_for_each_id(with_owners([entry, *others], LISTED))
    assert sorted(x.student for x in found) == ids
    owned = Rejected("Ana Ruiz_1", "", "unreadable", id_in_questions="a1")
    (found,) = one_for_each_id(with_owners([owned], LISTED))
    assert (found.student, found.problem) == ("a1", "unreadable")


def test_a_student_whose_folders_are_all_empty_has_submitted():
    entries = [rejected("Ana Ruiz_1" + FILE), rejected("Ana Ruiz_1" + TEXT)]
    roster = Roster(one_for_each_id(with_owners(entries, LISTED)), LISTED)
    assert roster.missing == ["b2", "j7", "j8"]
    assert len(with_owners(entries, {})) == 1


def test_line_breaks_in_the_cells_of_a_list_are_spaces(tmp_path):
    path = Path(tmp_path, "list.csv")
    text = 'id,Full name\r\na1,"Ana\r\nRuiz"\r\n\r\nb2,Ben\u2028Oz\x0b\r\n'
    path.write_bytes(text.encode())
    assert [x.words for x in read_students(path)[0].values()] == [
        ["ana", "ruiz"],
        ["ben", "oz"],
    ]


def test_a_student_with_the_id_of_another_one_stays_in_the_list():
    names = {"101": "Ana Ruiz", "102": "Ben Oz", "103": "Cem Aydin", "104": "Dora Li"}
    listed = {x: ListedStudent(x, name) for x, name in names.items()}
    ids = {"Ana Ruiz": "102", "Cem Aydin": "cem", "Dora Li": "dora"}
    entries = [graded(f"{name}_1{FILE}", student) for name, student in ids.items()]
    found = with_submitted_ids(listed, with_owners(entries, listed))
    expected = {
        "101": "Ana Ruiz",
        "102": "Ben Oz",
        "cem": "Cem Aydin",
        "dora": "Dora Li",
    }
    assert {student: about.name for student, about in found.items()} == expected
