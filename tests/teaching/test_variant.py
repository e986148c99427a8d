"""A variant depends on the student and the course, and on nothing else."""

import unicodedata

import pytest

from pipeline.records.student_ids import student_id
from pipeline.teaching.variant import Variant


def test_the_variant_of_an_id_stays_the_same():
    # Golden values: students must keep their variant after an update.
    variant = Variant.of("ana.ruiz", "embedded 2026")
    assert (variant.seed, variant.pick("image", 10_000)) == (217407399, 9620)


def test_case_spaces_and_unicode_forms_of_an_id_do_not_matter():
    decomposed = unicodedata.normalize("NFD", "Zoë")
    assert decomposed != "Zoë"
    variants = {Variant.of(name, " Course") for name in ("zoë", " ZOË ", decomposed)}
    assert variants == {Variant.of("zoë", "course")}


def test_students_and_courses_have_different_seeds():
    seeds = {
        Variant.of(f"s{number}", course).seed
        for number in range(200)
        for course in ("a", "b")
    }
    assert len(seeds) == 400


def test_the_parts_of_a_variant_cannot_be_confused():
    assert Variant.of("ab", "c").seed != Variant.of("a", "bc").seed


@pytest.mark.parametrize(
    "text", ["", " ", "../a", "a/b", "a\nb", "=cmd", "<b>", ".a", "a" * 65, "a\0"]
)
def test_ids_that_are_not_file_names_are_rejected(text):
    with pytest.raises(ValueError, match="letters"):
        student_id(text)
