"""The sentences about the sizes of several exports, for given reports."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.deploy import ExportedNetwork, ExportJob, describe_sizes, sizes_table
from pipeline.deploy.export import MAX_LISTED_NEURONS, describe_dead_neurons
from pipeline.deploy.sizes import MAX_TABLE_ROWS, finetuning_note


@pytest.fixture
def exports(quantized):
    """Return a function that makes an export for each report, given by its values."""
    model = quantized(8)

    def make(*reports):
        return {
            ExportJob(
                {"seed": row}, model.trained, None, values["bits"], Path(str(row))
            ): (
                ExportedNetwork(
                    model.integers, replace(model.report, **values), [], [], {}
                )
            )
            for row, values in enumerate(reports)
        }

    return make


@pytest.mark.parametrize(
    ("bits", "text"), [([1], "1 bit"), ([4, 1], "4, 1 bits"), ([2], "2 bits")]
)
def test_the_title_of_the_plot_names_the_bit_widths_that_were_finetuned(
    bits, text, exports
):
    results = exports(
        {"bits": 8, "finetune": 0}, *({"bits": n, "finetune": 10} for n in bits)
    )
    assert f"fine-tuning ({text}) continues" in finetuning_note(results)
    assert finetuning_note(exports({"bits": 8, "finetune": 0})) == ""


def test_the_most_accurate_network_can_be_the_smallest_that_is_nearly_as_good(exports):
    small = {"bits": 4, "accuracy": 0.9, "table_bytes": 10}
    text = describe_sizes(exports(small, {"bits": 8, "accuracy": 0.85}))
    assert text.startswith("best: seed=0 bits=4, 90.00% with 10 bytes of tables; ")
    assert text.endswith("; no smaller network is within 1 percentage point of it")


def test_a_network_that_is_worse_by_exactly_one_point_is_nearly_as_good(exports):
    reports = [
        {"bits": 8, "accuracy": 0.5097, "table_bytes": 20},
        {"bits": 4, "accuracy": 0.4997, "table_bytes": 10},
        {"bits": 2, "accuracy": 0.4996, "table_bytes": 5},
    ]
    text = describe_sizes(exports(*reports))
    assert (
        "the smallest network within 1 percentage point of it: seed=1 bits=4, 49.97%"
        in text
    )


def test_a_long_table_names_the_file_with_the_other_rows(exports):
    reports = [{"bits": 8}] * (MAX_TABLE_ROWS + 2)
    *rows, last = sizes_table(exports(*reports)).splitlines()
    assert len(rows) == 1 + MAX_TABLE_ROWS and last == "... and 2 more in sizes.csv"
    assert "more in" not in sizes_table(exports(*reports[:-2]))


def test_many_dead_neurons_are_counted(exports):
    (exported,) = exports({"bits": 8}).values()
    many = replace(exported, dead_neurons=range(MAX_LISTED_NEURONS + 3))
    text = " ".join(describe_dead_neurons([many]).split())
    about = "Dead neurons (8 bits), which output 0 for every training image: N11, N12, "
    assert text.startswith(about) and text.endswith(", N110 and 3 more")
