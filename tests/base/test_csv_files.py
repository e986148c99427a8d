import csv
import os
import subprocess
import sys

import pytest

from pipeline import UserError
from pipeline.base import csv_files


def read(path, delimiter=","):
    with path.open(newline="") as stream:
        return [*csv.DictReader(stream, delimiter=delimiter)]


STORED = {text: text for text in ("a.png", "b\rc.png", 'd"\ne.png', "f,g", "h;=1;.x")}
STORED |= {f"{first}1+1": f"'{first}1+1" for first in "=+-@\t\r\n\uff1d"}  # no formula
STORED |= {"a\udcff.png": r"a\udcff.png"}  # a name that is not UTF-8


def test_tables_are_utf_8_in_any_locale(tmp_path):
    path = tmp_path / "x.csv"
    code = "import sys; from pipeline.base import csv_files; from pathlib import Path; "
    code += "csv_files.write_csv(Path(sys.argv[1]), [{'file': '\\xfc.png'}])"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, path]
    subprocess.run(command, check=True, env={**os.environ, **ascii_only})
    assert path.read_text("utf-8") == "file\nü.png\n"


@pytest.mark.parametrize("text", STORED)
def test_each_row_is_one_record_without_formulas_for_any_text(tmp_path, text):
    csv_files.write_csv(tmp_path / "x.csv", [{"file": text, "digit": -1}] * 2)
    assert read(tmp_path / "x.csv") == [{"file": STORED[text], "digit": "-1"}] * 2


def test_a_table_without_columns_leaves_no_file(tmp_path):
    with pytest.raises(IndexError):
        csv_files.write_csv(tmp_path / "x.csv", [])
    assert not (tmp_path / "x.csv").exists()


def test_floats_in_a_table_for_readers_have_four_significant_digits(tmp_path):
    row = {"share": 2 / 3, "small": 1.23456e-7, "count": 12345, "name": "0.123456"}
    csv_files.write_csv(tmp_path / "x.csv", [row], exact=False)
    (record,) = read(tmp_path / "x.csv")
    assert [*record.values()] == ["0.6667", "1.235e-07", "12345", "0.123456"]


def test_all_lines_are_quoted_if_one_contains_a_special_character(tmp_path):
    rows = [{"id": "a1", "problem": text} for text in ("", "one; two")]
    csv_files.write_csv(tmp_path / "x.csv", rows)
    expected = '"id","problem"\n"a1",""\n"a1","one; two"\n'
    assert (tmp_path / "x.csv").read_text() == expected


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_name_stays_in_one_cell_with_other_delimiters(tmp_path, delimiter):
    name = f"a{delimiter}=1+1{delimiter}3.png"
    csv_files.write_csv(tmp_path / "x.csv", [{"file": name, "digit": 3}])
    (record,) = read(tmp_path / "x.csv", delimiter)
    assert next(iter(record.values())).startswith(name)


def test_the_line_of_excel_that_names_the_separator_is_not_read_as_titles(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("\ufeffsep=;\r\nFile;Label, in full\r\na,b,c.png;7\r\n", "utf-8")
    titles, rows = csv_files.read_csv(path)
    assert titles == ["file", "label,infull"]
    assert rows == [(3, {"file": "a,b,c.png", "label,infull": "7"})]


def test_a_table_with_two_columns_of_the_same_title_is_rejected(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,Name, name\n1,Ana,Ben\n")
    rule = "x.csv has several columns with the title name: rename all but one of them"
    with pytest.raises(UserError, match=rule):
        csv_files.read_csv(path)
    path.write_text("id,,\n1,,\n")  # columns without a title, as written by Excel
    assert csv_files.read_csv(path)[1] == [(2, {"id": "1", "": ""})]
