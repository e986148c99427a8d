"""Fills the HTML template of the report page with a network's data.

What the page shows and how is in the HTML, CSS and JavaScript files beside this module.
"""

import base64
import gzip
import json
import re
from importlib.resources import files

from safetensors import numpy as safetensors

from pipeline.interpret.report.contents import ReportInputs, fits, page_data


def render(inputs: ReportInputs) -> str:
    """Return the page as HTML; equal inputs give equal bytes.

    A network that does not fit (see `fits`) gives a short page that says so.
    """
    folder = files(__package__)
    if not fits(inputs):
        html = folder.joinpath("too_large.html").read_text("utf-8")
        return html.replace("{{ size }}", f"{inputs.network.size:,}")
    tensors, metadata = page_data(inputs)
    packed = safetensors.save(tensors, {"page": json.dumps(metadata, sort_keys=True)})
    data = base64.b64encode(gzip.compress(packed, mtime=0)).decode()

    def part(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        return data if name == "data" else folder.joinpath(name).read_text("utf-8")

    template = folder.joinpath("page.html").read_text("utf-8")
    return re.sub(r"\{\{ (\S+) \}\}", part, template)
