"""The network on a microcontroller: integers, C code, an ONNX file, and checks.

A good order to read the modules: `integers` is the reference; `quantization` and
`finetuning` compute its numbers from a network, and `quantized` joins the two.
`c_source` renders the C code from the templates in c/. `probes`, `checks`, `compilers`
and `onnx_file` compare the implementations. `output` makes all files of an export,
`jobs` runs one export or several, and `export` is the command; `sizes` and `text` are
what it prints. `storage` reads the integers again; `page` and `worksheet` prepare them
for `interpret`.
"""

from pipeline.deploy.jobs import ExportedNetworks, ExportJob, list_jobs, run_jobs
from pipeline.deploy.output import ExportedNetwork, export_quantized
from pipeline.deploy.page import render_page
from pipeline.deploy.quantization import BIT_WIDTHS
from pipeline.deploy.quantized import QuantizedModel
from pipeline.deploy.sizes import (
    SIZES_PLOT,
    describe_sizes,
    sizes_table,
    smallest,
    write_sizes,
)
from pipeline.deploy.storage import find_export
from pipeline.deploy.text import describe_checks, describe_silent_neurons
from pipeline.deploy.worksheet import add_integers
