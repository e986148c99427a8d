"""The network on a microcontroller: integers, C code, an ONNX file, and checks."""

from pipeline.deploy.exports import Export, Results, list_exports, run_exports
from pipeline.deploy.output import Exported, export_model
from pipeline.deploy.page import PAGE_FILE, render_page
from pipeline.deploy.quantization import WIDTHS
from pipeline.deploy.quantized import QuantizedModel, bits_text
from pipeline.deploy.sizes import SIZES_PLOT, answer, sizes_table, smallest, write_sizes
from pipeline.deploy.storage import find_export
from pipeline.deploy.text import describe_checks, describe_silent_neurons
from pipeline.deploy.worksheet import add_integers
