"""The network on a microcontroller: C code, an ONNX file, and checks.

`integers` quantizes the network. `c_source` renders the C code from the templates in
c/. `probes`, `checks`, `compilers` and `onnx_file` compare the implementations.
`exported_network` creates all files of an export, `jobs` runs one export or several,
`sizes` compares exports, and `export` is the command.
"""

from pipeline.deploy.checks import describe_checks
from pipeline.deploy.exported_network import ExportedNetwork, export_quantized
from pipeline.deploy.jobs import ExportJob, ExportsByJob, export_jobs, run_jobs
from pipeline.deploy.sizes import (
    SIZES_PLOT,
    describe_sizes,
    sizes_table,
    smallest,
    write_sizes,
)
