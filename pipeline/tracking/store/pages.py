"""URLs of MLflow's pages, and the tags that configure an experiment's pages.

A URL begins with #, so that a link works on any server.
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pipeline.records.metric_names import (
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
)
from pipeline.records.tags import NOTE_TAG, PARENT_TAG, SWEPT_TAG
from pipeline.tracking.store import mlflow_internals

WORKFLOW = "workflowType=machine_learning"  # without this, the UI opens its GenAI mode
VIEW = "networks"  # the key of the saved view
NAME = {"attributes.`Run Name`": 255}  # columns and their widths in pixels
ACCURACY = {f"metrics.`{VAL_ACCURACY}`": 105}
DURATION = {"duration": 80}
COLUMNS = {  # the columns of the saved view
    **NAME,
    "runDateAndNestInfo": 140,
    **ACCURACY,
    "params.`hidden`": 70,
    "params.`epochs`": 65,
    "params.`seed`": 60,
    "params.`lr`": 60,
    "params.`dataset`": 110,
    f"tags.`{SWEPT_TAG}`": 90,
    **DURATION,
}
PARAM_WIDTH = 90  # pixels of a column with a varied setting
# The UI nests the children of a sweep below the sweep only in this order.
NEWEST_FIRST = {"orderByKey": "attributes.start_time", "orderByAsc": False}
BEST_FIRST = {"orderByKey": f"metrics.`{VAL_ACCURACY}`", "orderByAsc": False}


def list_page(experiment_id: str, tags: Mapping[str, str]) -> str:
    """Return the URL of the list of runs, with the saved view if the tags have it.

    In an experiment of another program, the tags have no view. With a missing view, the
    UI would open another page.
    """
    has_view = mlflow_internals.VIEW_TAG + VIEW in tags
    view = f"&{mlflow_internals.VIEW_QUERY}={VIEW}" if has_view else ""
    return f"#/experiments/{experiment_id}/runs?{WORKFLOW}{view}"


def run_page(experiment_id: str, run_id: str, page: str = "") -> str:
    """Return the URL of a run or, below it, of a `page` such as model-metrics."""
    path = "/".join(filter(None, [run_id, quote(page)]))
    return f"#/experiments/{experiment_id}/runs/{path}?{WORKFLOW}"


def children_links(experiment_id: str, run_id: str) -> dict[str, str]:
    """Return Markdown links, by name, to the list and the charts of a sweep's children.

    `children_tag` defines the view.
    """
    page = f"#/experiments/{experiment_id}/runs?{WORKFLOW}&compareRunsMode="
    view = f"&{mlflow_internals.VIEW_QUERY}={run_id}"
    return {
        "children": f"[training runs, best first]({page}TABLE{view})",
        "charts": f"[charts]({page}CHART{view})",
    }


def children_tag(run_id: str, params: Sequence[str]) -> tuple[str, str]:
    """Return the tag of an experiment that defines the pages of a sweep's children.

    The table has columns for the varied `params`. The first chart plots the validation
    accuracy against the first param, and the second shows all params as parallel
    coordinates. The UI loads the 100 best children, and more on demand. The view has no
    name, so that it is not in the menu of views, which is limited to 40 views.
    """
    varied = {f"params.`{key}`": PARAM_WIDTH for key in params}
    accuracy = VAL_ACCURACY
    axes = {"selectedParams": [*params], "selectedMetrics": [accuracy]}
    charts: list[dict[str, object]] = [
        {
            "type": "SCATTER",
            "xaxis": {"key": params[0], "type": "PARAM"},
            "yaxis": {"key": accuracy, "type": "METRIC"},
        },
        {"type": "PARALLEL", "showAllRuns": True, **axes},
    ]
    view = {
        "searchFilter": f"tags.`{PARENT_TAG}` = '{run_id}'",
        **BEST_FIRST,
        **_columns({**NAME, **varied, **ACCURACY, **DURATION}),
        "runsHiddenMode": "SHOW_ALL",
        **_charts("Validation accuracy", charts, runs=100),
    }
    return mlflow_internals.VIEW_TAG + run_id, json.dumps(view)


def _columns(widths: Mapping[str, int]) -> dict[str, object]:
    """Return the part of a view with the columns of the table, in order."""
    return {
        "selectedColumns": [
            key for key in widths if re.match("metrics|params|tags", key)
        ],
        "columnOrder": [*widths],
        "columnWidths": widths,
    }


def _charts(
    title: str, charts: Sequence[Mapping[str, object]], *, runs: int
) -> dict[str, object]:
    """Return the part of a view with charts of at most `runs` runs, in a section."""
    section = {"name": title, "display": True, "columns": 2, "cardHeight": 440}
    common = {"metricSectionId": "charts", "runsCountToCompare": runs}
    return {
        "isAccordionReordered": True,  # without this, the section would not be first
        "compareRunSections": [{"uuid": "charts", **section}],
        "compareRunCharts": [
            {"uuid": f"chart{number}", **common, **chart}
            for number, chart in enumerate(charts)
        ],
    }


def move_links(text: str, before: str, after: str) -> str:
    """Return Markdown with links to another experiment."""
    return text.replace(f"#/experiments/{before}/", f"#/experiments/{after}/")


def experiment_tags(experiment_id: str) -> dict[str, str]:
    """Return the tags of an experiment: the note, and the saved view of the runs.

    The charts of the view are the learning curves of the newest runs.
    """
    line = {"type": "LINE", "lineSmoothness": 0}
    charts = [
        {**line, "metricKey": each[0], "selectedMetricKeys": each}
        for each in ([TRAIN_LOSS, VAL_LOSS], [TRAIN_ACCURACY, VAL_ACCURACY])
    ]
    view = {
        **NEWEST_FIRST,
        **_columns(COLUMNS),
        **_charts("Learning curves", charts, runs=10),
    }
    value = mlflow_internals.saved_view("Newest first", view)
    tags = {mlflow_internals.VIEW_TAG + VIEW: value}
    link = f"**[Show accuracy and settings]({list_page(experiment_id, tags)}).**"
    # The UI shows one line of the note. Its start page shows only the first words.
    note = (
        "Trained networks. Click + for those of a sweep, and the chart icon for "
        f"learning curves. {link} If *GenAI* is selected on the left, select *Model "
        "training*."
    )
    return {**tags, NOTE_TAG: note}
