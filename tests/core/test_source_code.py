import hashlib

from pipeline.core.source_code import code_sha256, modules_sha256

SOURCE = '''"""Describe a module."""

import math  # for pi


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
# Written out, because the hash must be the same with every version of Python.
CODE = '''import math
class Circle:
    text = """
    # not a comment

    not a docstring
    """
    def area(self, radius):
        return (
            math.pi
            * radius**2
        )
    def label(self, names):
        return f"{', '.join(names)}: {self.text!r:>{len('#')}}"'''


def test_comments_docstrings_and_blank_lines_are_not_hashed():
    assert code_sha256(SOURCE.encode()) == hashlib.sha256(CODE.encode()).hexdigest()


def test_a_change_of_the_code_changes_the_hash(tmp_path):
    path, hashes = tmp_path / "module.py", set()
    for code in (CODE, CODE.replace("2", "3"), CODE.replace("not a", "no"), "def", ""):
        path.write_text(code)
        hashes |= {code_sha256(code.encode()), modules_sha256(path)}
    assert len(hashes) == 10
    assert modules_sha256(path, path) not in hashes
