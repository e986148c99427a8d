"""Addresses of MLflow's pages, and the tags that configure an experiment's pages.

An address begins with #, so that a link works on any server.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from pipeline.tracking import mlflow_internals

WORKFLOW = "workflowType=machine_learning"  # otherwise the UI opens its GenAI mode
VIEW = "networks"  # the key of the saved view
COLUMNS = {  # of the saved view, and their widths in pixels
    "attributes.`Run Name`": 215,
    "runDateAndNestInfo": 140,
    "metrics.`val/accuracy`": 105,
    "metrics.`train/final_accuracy`": 140,
    "params.`hidden`": 70,
    "params.`seed`": 60,
    "params.`lr`": 60,
    "params.`dataset`": 110,
    "duration": 80,
}


def list_page(experiment_id: str, tags: Mapping[str, str]) -> str:
    """Return the address of the list of runs, with the saved view if the tags have it.

    Without it, as in an experiment of another program, the UI would open another page.
    """
    has_view = mlflow_internals.VIEW_TAG + VIEW in tags
    view = f"&{mlflow_internals.VIEW_QUERY}={VIEW}" if has_view else ""
    return f"#/experiments/{experiment_id}/runs?{WORKFLOW}{view}"


def run_page(experiment_id: str, run_id: str, page: str = "") -> str:
    """Return the address of a run or, below it, of a `page` such as model-metrics."""
    path = "/".join(filter(None, [run_id, quote(page)]))
    return f"#/experiments/{experiment_id}/runs/{path}?{WORKFLOW}"


def comparison_page(experiment_id: str, run_ids: list[str]) -> str:
    """Return the address of the page that compares runs."""
    runs = quote(json.dumps(run_ids))
    return f"#/compare-runs?runs={runs}&{_query(experiment_id)}&{WORKFLOW}"


def move_links(text: str, before: str, after: str) -> str:
    """Return Markdown in which links to an experiment lead to another one."""
    text = text.replace(f"#/experiments/{before}/", f"#/experiments/{after}/")
    return text.replace(_query(before), _query(after))


def _query(experiment_id: str) -> str:
    return f"experiments={quote(json.dumps([experiment_id]))}"


def experiment_tags(experiment_id: str) -> dict[str, str]:
    """Return the tags of an experiment: its note, and the saved view of its runs."""
    selected = [name for name in COLUMNS if re.match("metrics|params", name)]
    view = {
        "orderByKey": "metrics.`val/accuracy`",
        "orderByAsc": False,
        "selectedColumns": selected,
        "columnOrder": [*COLUMNS],
        "columnWidths": COLUMNS,
    }
    value = mlflow_internals.saved_view("Best networks first", view)
    tags = {mlflow_internals.VIEW_TAG + VIEW: value}
    link = f"**[Show the runs]({list_page(experiment_id, tags)})**"
    # The UI shows one line.
    hint = "If *GenAI* is selected on the left, select *Model training*."
    note = f"{link}: the trained networks, best first. {hint}"
    return {**tags, "mlflow.note.content": note}
