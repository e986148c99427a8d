"""URLs of MLflow's pages, and the tags that configure an experiment's pages.

A URL begins with #, so that a link works on any server.
"""

import json
import re
from collections.abc import Mapping, Sequence
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
    """Return the URL of the list of runs, with the saved view if the tags have it.

    Without it, as in an experiment of another program, the UI would open another page.
    """
    has_view = mlflow_internals.VIEW_TAG + VIEW in tags
    view = f"&{mlflow_internals.VIEW_QUERY}={VIEW}" if has_view else ""
    return f"#/experiments/{experiment_id}/runs?{WORKFLOW}{view}"


def run_page(experiment_id: str, run_id: str, page: str = "") -> str:
    """Return the URL of a run or, below it, of a `page` such as model-metrics."""
    path = "/".join(filter(None, [run_id, quote(page)]))
    return f"#/experiments/{experiment_id}/runs/{path}?{WORKFLOW}"


def comparison_page(experiment_id: str, run_id: str) -> str:
    """Return the URL of the charts of a sweep's children; see comparison_tag."""
    query = f"{WORKFLOW}&compareRunsMode=CHART&{mlflow_internals.VIEW_QUERY}={run_id}"
    return f"#/experiments/{experiment_id}/runs?{query}"


def comparison_tag(run_id: str, params: Sequence[str]) -> tuple[str, str]:
    """Return the tag of an experiment that defines the charts of a sweep's children.

    The first of `params` is the x axis of the first chart. The UI loads the 100 best
    children, and more on demand. The view has no name, so it is not in the menu of
    views, which is limited to 40.
    """
    accuracy = "val/accuracy"
    chart = {"metricSectionId": "accuracy", "runsCountToCompare": 100}
    axes = {"selectedParams": [*params], "selectedMetrics": [accuracy]}
    view = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run_id}'",
        "orderByKey": f"metrics.`{accuracy}`",
        "orderByAsc": False,
        "runsHiddenMode": "SHOWALL",
        "isAccordionReordered": True,  # otherwise this section would not be the first
        "compareRunSections": [
            {
                "uuid": "accuracy",
                "name": "Validation accuracy",
                "display": True,
                "columns": 2,
                "cardHeight": 440,
            }
        ],
        "compareRunCharts": [
            {
                "uuid": "scatter",
                "type": "SCATTER",
                **chart,
                "xaxis": {"key": params[0], "type": "PARAM"},
                "yaxis": {"key": accuracy, "type": "METRIC"},
            },
            {**chart, "uuid": "all", "type": "PARALLEL", "showAllRuns": True, **axes},
        ],
    }
    return mlflow_internals.VIEW_TAG + run_id, json.dumps(view)


def move_links(text: str, before: str, after: str) -> str:
    """Return Markdown in which links to an experiment lead to another one."""
    return text.replace(f"#/experiments/{before}/", f"#/experiments/{after}/")


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
