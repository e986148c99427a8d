"""The network on a microcontroller: integers, C code, an ONNX file, and checks.

A good order to read the modules: `integer_network` is the reference; `bit_widths`,
`quantization` and `finetuning` compute its numbers from a network, and
`quantized_model` joins the two.
`c_source` renders the C code from the templates in c/. `probes`, `checks`, `compilers`
and `onnx_file` compare the implementations. `exported_network` makes all files of an
export, `jobs` runs one export or several, `sizes` compares them, and `export` is
the command. `integers_file` writes and reads the integers; `page` and
`integer_sums` prepare them for the page and the worksheets of `interpret`.
"""

from pipeline.deploy.bit_widths import BIT_WIDTHS
from pipeline.deploy.checks import describe_checks
from pipeline.deploy.exported_network import ExportedNetwork, export_quantized
from pipeline.deploy.integer_sums import add_exported_integers, add_integers
from pipeline.deploy.jobs import ExportJob, ExportsByJob, list_jobs, run_jobs
from pipeline.deploy.page import render_page
from pipeline.deploy.quantized_model import QuantizedModel
from pipeline.deploy.sizes import (
    SIZES_PLOT,
    describe_sizes,
    sizes_table,
    smallest,
    write_sizes,
)
