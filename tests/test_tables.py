import csv

import pytest

from pipeline import files

NAMES = ["a.png", "b\rc.png", "d\ne.png", 'f"g.png', "h,i.png", "j\udcffk.png"]


def test_a_record_a_row_whatever_a_name_holds(tmp_path):
    rows = [{"file": name, "digit": 7, "sure": True} for name in NAMES]
    files.write_csv(tmp_path / "x.csv", rows)
    with (tmp_path / "x.csv").open(newline="") as stream:
        found = [*csv.DictReader(stream)]
    assert len(found) == len(NAMES)
    assert [row["file"] for row in found[:5]] == NAMES[:5]
    assert {row["digit"] for row in found} == {"7"}


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_no_cell_is_run_by_a_spreadsheet(tmp_path, first):
    files.write_csv(tmp_path / "x.csv", [{"file": f"{first}1+1", "digit": -1}])
    with (tmp_path / "x.csv").open(newline="") as stream:
        (found,) = csv.DictReader(stream)
    assert found == {"file": f"'{first}1+1", "digit": "-1"}


@pytest.mark.parametrize("sign", [";", "\t"])
def test_no_name_ends_its_cell_where_another_sign_separates(tmp_path, sign):
    files.write_csv(
        tmp_path / "x.csv", [{"file": f"a{sign}=1+1{sign}3.png", "digit": 3}]
    )
    with (tmp_path / "x.csv").open(newline="") as stream:
        (_, row) = csv.reader(stream, delimiter=sign)
    assert row[0].startswith(f"a{sign}=1+1{sign}3.png")
