"""The network on a microcontroller: integers, C code, ONNX files, and checks."""

from pipeline.deploy.c_source import render_source, write_source
from pipeline.deploy.checks import Check, Outputs
from pipeline.deploy.emulators import check_on_emulators
from pipeline.deploy.exported import find_export
from pipeline.deploy.finetuning import finetune
from pipeline.deploy.host import check_on_host
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.onnx_files import check_onnx, write_onnx
from pipeline.deploy.output import check_images, export_model, report
from pipeline.deploy.page import PAGE_FILE, render_page
from pipeline.deploy.probes import probe_images
from pipeline.deploy.quantization import WIDTHS, quantize
from pipeline.deploy.quantized import QuantizedModel, bits_text, load_integers
from pipeline.deploy.several import (
    Combination,
    combine,
    export_combinations,
    export_executor,
)
from pipeline.deploy.sizes import (
    SIZES_PLOT,
    Results,
    answer,
    describe_all_checks,
    sizes_table,
    smallest,
    write_sizes,
)
from pipeline.deploy.task import Exported
from pipeline.deploy.text import (
    describe,
    differences,
    summary,
)
from pipeline.deploy.worksheet import (
    integer_sums,
    integer_worksheets,
    write_integer_terms,
)
