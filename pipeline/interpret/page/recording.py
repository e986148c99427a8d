"""Writes the page of a command to its folder, and records it in MLflow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.page.rendering import (
    PAGE_FILE,
    MeasuredIntegers,
    PageKind,
    kind_of,
    render_page,
)
from pipeline.tracking import OpenRun

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun


def record_page(
    analysis: ModelAnalysis,
    folder: Path,
    run: OpenRun,
    *,
    name: str,
    quantized: Sequence[MeasuredIntegers] = (),
) -> str:
    """Write the page to the folder of its command, and record it in a run.

    Return the reason why there is no page, or "". `render_page` explains the name and
    the networks.
    """
    kind = kind_of(quantized)
    html = render_page(analysis, name=name, quantized=quantized)
    problem = ""
    if html:
        (folder / PAGE_FILE).write_text(html, "utf-8")
    else:
        problem = f"none, because it would be larger than {kind.max_bytes / 1e6:g} MB"
    run.record(_log_page, kind, folder / PAGE_FILE, problem)
    return problem


def _log_page(run: "MlflowRun", kind: PageKind, path: Path, problem: str) -> None:
    """Log a page with a link in the description, or the reason why there is none."""
    link = problem
    if not problem:
        run.log_files(kind.command, [path])
        link = run.link(kind.title, f"artifacts/{kind.command}/{path.name}")
    run.add_links({kind.link: link})
