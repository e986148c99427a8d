"""Writes the page of a command to its folder, and records it in MLflow."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.page.rendering import (
    PAGE_FILE,
    MeasuredIntegers,
    kind_of,
    render_page,
)
from pipeline.tracking import Run


def record_page(
    analysis: ModelAnalysis,
    folder: Path,
    run: Run,
    *,
    name: str,
    quantized: Sequence[MeasuredIntegers] = (),
) -> str:
    """Write the page to the folder of its command, and record it in a run.

    Return the reason why there is no page, or "". `render_page` explains the name and
    the networks.
    """
    kind = kind_of(quantized)
    html, problem = render_page(analysis, name=name, quantized=quantized), ""
    if html:
        (folder / PAGE_FILE).write_text(html, "utf-8")
        run.log_files(kind.command, [folder / PAGE_FILE])
        link = run.link(kind.title, f"artifacts/{kind.command}/{PAGE_FILE}")
    else:
        limit = f"{kind.max_bytes / 1e6:g} MB"
        link = problem = f"none, because it would be larger than {limit}"
    run.add_links({kind.link: link})
    return problem
