"""The network on a microcontroller: integers, C code, ONNX files, and checks."""

from pipeline.deploy.checks import Check
from pipeline.deploy.combinations import combine, export_combinations
from pipeline.deploy.output import Exported, export_model
from pipeline.deploy.page import PAGE_FILE, render_page
from pipeline.deploy.quantization import WIDTHS
from pipeline.deploy.quantized import QuantizedModel, bits_text
from pipeline.deploy.sizes import (
    SIZES_PLOT,
    Results,
    answer,
    sizes_table,
    smallest,
    write_sizes,
)
from pipeline.deploy.storage import find_export
from pipeline.deploy.text import describe, describe_checks
from pipeline.deploy.worksheet import (
    integer_sums,
    integer_worksheets,
    write_integer_terms,
)
