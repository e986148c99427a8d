import hashlib
import shutil

import pytest

from pipeline.base.source_code import ImportedCode, code_sha256

SOURCE = '''"""Describe a module."""

import math  # needed for pi


class Circle:
    """A circle
    with a radius.
    """

    # The unit is a pixel.
    text = """
    # not a comment

    not a docstring
    """

    def area(self, radius):
        """Return the area."""
        return (
            math.pi  # about 3.14

            * radius**2
        )

    def label(self, names):
        return f"{', '.join(names)}: {self.text!r:>{len('#')}}"
'''
CODE = '''import math
class Circle:
    text = """
    # not a comment

    not a docstring
    """
    def area(self, radius):
        return math.pi * radius ** 2
    def label(self, names):
        return f"{', '.join(names)}: {self.text!r:>{len('#')}}"'''
# Written out, because the hash must be the same with every version of Python.
SHA256 = "ef534f7805a29c5936fe4bfe7352eff8667337a13d1e651dbf555a40efac54cd"


def test_comments_docstrings_and_the_format_are_not_hashed():
    assert code_sha256(SOURCE.encode()) == code_sha256(CODE.encode()) == SHA256


def test_a_change_of_the_code_changes_the_hash(tmp_path):
    path, hashes = tmp_path / "module.py", set()
    for code in (CODE, CODE.replace("2", "3"), CODE.replace("not a", "no"), "def", ""):
        path.write_text(code)
        hashes |= {code_sha256(code.encode()), ImportedCode(path).sha256}
    assert len(hashes) == 10
    other = shutil.copy(path, tmp_path / "other.py")
    assert ImportedCode(path, other).sha256 not in hashes


def test_imported_code_has_no_later_edits_and_says_whether_there_are_any(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    code, folder = ImportedCode(path), ImportedCode(tmp_path)
    assert code.sha256 == folder.sha256  # before the edits; `hashes` is read after them
    path.write_text(f"{SOURCE}# a comment\n")
    for each in (code, folder, ImportedCode(path)):
        assert each.hashes == {"module.py": code_sha256(SOURCE.encode())}
        assert not each.was_edited()
    path.write_text(f"{SOURCE}EDITED = 1\n")
    later = ImportedCode(path)
    assert code.was_edited() and folder.was_edited() and not later.was_edited()
    assert code.sha256 == folder.sha256 != later.sha256
    path.write_text(SOURCE)
    assert not code.was_edited()
    (tmp_path / "new.py").touch()
    assert folder.was_edited() and not code.was_edited()


RAISING = """def check(count):
    if count < 1:  # a rule
        raise ValueError(
            f"count must be at least 1, "  # the rule
            "got {count}"
        ) from None
    raised = count; return raised
"""
HASHED = """def check(count):
    if count < 1:
        raise ValueError
    raised = count; return raised"""


def test_of_a_raise_statement_only_the_type_of_the_error_is_hashed():
    assert code_sha256(RAISING.encode()) == code_sha256(HASHED.encode())
    changed = RAISING.replace("must be", "is not")
    assert code_sha256(changed.encode()) == code_sha256(RAISING.encode())
    for old, new in (
        ("raise ValueError", "print"),
        ("ValueError", "KeyError"),
        ("< 1", "< 2"),
        ("= count", "= 1"),
    ):
        changed = RAISING.replace(old, new)
        assert code_sha256(changed.encode()) != code_sha256(RAISING.encode())


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_the_ends_of_lines_do_not_change_the_hash(end):
    code = SOURCE.replace("\n", end).encode()
    assert code_sha256(code) == SHA256


# `str.splitlines` splits at these characters, but a line of Python does not end there.
@pytest.mark.parametrize("character", [*"\v\f\x1c\x1d\x1e\x85\u2028\u2029"])
def test_all_code_is_hashed_after_a_character_that_ends_a_line_only_elsewhere(
    character,
):
    module = f'TEXT = """{character}\n"""; RATE = 1\n'
    module += f'A = "{character}"\ndef step(lr=0.1):\n    """Doc."""\n    return lr\n'
    same = module.replace("Doc.", "Changed.") + "# a comment\n"
    others = [module.replace(*x) for x in (("RATE = 1", "RATE = 2"), ("0.1", "0.9"))]
    assert code_sha256(same.encode()) == code_sha256(module.encode())
    assert len({code_sha256(code.encode()) for code in (module, *others)}) == 3


def test_code_after_a_form_feed_between_functions_is_hashed():
    module = 'RATE = 1\n\n\f\ndef step(lr=0.1):\n    """Doc."""\n    return lr\n'
    other = module.replace("0.1", "0.9")
    assert code_sha256(module.encode()) != code_sha256(other.encode())


def test_a_formatted_string_is_code_but_a_text_is_not():
    code, formatted, text = "x = 1\n", 'x = 1\nf"{x}"', 'x = 1\n"a text"'
    hashes = [code_sha256(each.encode()) for each in (code, text, formatted)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_module_that_is_not_valid_python_is_hashed_as_it_is():
    for content in (b"def", b"x = \0", b"\xff"):
        assert code_sha256(content) == hashlib.sha256(content).hexdigest()
