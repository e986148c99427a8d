"""The quantized network: its computation, and the quantization of a trained network.

Read the modules in this order: `integer_network` is the network; `bit_widths`,
`quantization` and `finetuning` derive its integers from a trained network, and
`quantized_model` joins the two networks. `integers_file` writes, reads and finds the
integers.

Other packages use only the names exported here.
"""

from pipeline.integers.bit_widths import BIT_WIDTHS, BitWidth
from pipeline.integers.integer_network import MAX_OUTPUT, IntegerNetwork
from pipeline.integers.integers_file import (
    INTEGERS_FILE,
    bit_folder,
    find_integers,
    load_integers,
    save_integers,
)
from pipeline.integers.quantized_model import ExportReport, QuantizedModel
