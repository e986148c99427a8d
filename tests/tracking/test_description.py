import pytest

from pipeline.records.tags import ENTRIES_TAG, NOTE_TAG
from pipeline.tracking.store import pages


def test_a_description_has_one_entry_per_key(store, start_run, client):
    with start_run(store) as run:
        curves = run.link("curves", "model-metrics")
        run.describe("A network.", {"page": "not created", "curves": curves})
        run.add_results({"Size": "16 KB", "Accuracy": "95%"})
        run.add_links({"page": run.link("report", "artifacts/a b.html")})
        run.add_results({"Accuracy": "96%"})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    address = f"#/experiments/1/runs/{run.run_id}"
    assert note == (
        f"[report]({address}/artifacts/a%20b.html?{pages.WORKFLOW}) · "
        f"[curves]({address}/model-metrics?{pages.WORKFLOW})\n\n"
        "A network.\n\n"
        "- **Accuracy**: 96%\n"
        "- **Size**: 16 KB"
    )


def test_new_results_do_not_change_a_remark_in_a_description(store, start_run, client):
    old = "- **Evaluation**: 96%\n- **Size**: 16 KB"
    new, both = "- **Evaluation**: 97%", "- **Evaluation**: 97%\n- **Size**: 16 KB"
    for note, expected in {
        f"A network.\n\n{old}\n\nMine!": f"A network.\n\n{both}\n\nMine!",
        "- **Evaluation**: mine": f"- **Evaluation**: mine\n\n{new}",
        f"{old} (mine)": f"{old} (mine)\n\n{new}",
        "": new,
    }.items():
        with start_run(store) as run:
            run.describe("A network.", {})
            run.add_results({"Size": "16 KB", "Evaluation": "96%"})
        client.set_tag(run.run_id, "mlflow.note.content", note)
        run.add_results({"Evaluation": "97%"})
        assert client.get_run(run.run_id).data.tags["mlflow.note.content"] == expected


def test_a_result_with_an_empty_line_is_replaced(store, start_run, client):
    with start_run(store) as run:
        run.describe("A network.", {"page": "a link"})
        run.add_results({"Export": "8 bits\n\n4 bits"})
        run.add_results({"Export": "2 bits"})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert note == "a link\n\nA network.\n\n- **Export**: 2 bits"


def test_a_new_text_keeps_the_entries_of_other_stages(store, start_run, client):
    with start_run(store) as run:
        run.describe("One of two.", {})
        run.add_results({"Exports": "95%"})
        run.describe("Two of two.", {})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert note == "Two of two.\n\n- **Exports**: 95%"


def test_a_long_description_keeps_the_newest_results(store, start_run, client):
    with start_run(store) as run:
        run.describe("A network.", {"page": "a link"})
        for number in [*range(150), 0]:
            run.add_results({f"Set {number:03}": "9" * 90})
    tags = client.get_run(run.run_id).data.tags
    note = tags["mlflow.note.content"]
    assert note.startswith("a link\n\nA network.\n\n- **Set 000**")
    assert "**Set 001**" not in note and "**Set 149**" in note
    assert all(7000 < len(tags[tag]) <= 8000 for tag in (NOTE_TAG, ENTRIES_TAG))


@pytest.mark.parametrize("edited", ["", '{"results": {"Size"', "[]", '{"links": 3}'])
def test_entries_that_a_user_made_unreadable_are_ignored(
    store, start_run, client, edited
):
    with start_run(store) as run:
        run.describe("A network.", {"page": "a link"})
    client.set_tag(run.run_id, ENTRIES_TAG, edited)
    run.add_results({"Size": "16 KB"})
    run.add_results({"Size": "8 KB"})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert note == "a link\n\nA network.\n\n- **Size**: 8 KB"
