"""The names of the files that runs record, and of their folders."""

from pathlib import Path

# The folder of a training run, in outputs/ and in the artifacts of the run. In a sweep
# with tracking=none, each job has such a folder in the folder of the sweep.
TRAINING_FOLDER = "train"
# The files in the folder of a training run.
MODEL_FILE = "model.safetensors"
WEIGHT_HISTORY_FILE = "history.safetensors"
HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
RUN_FILE = "run.json"
# All files that `write_training_run` writes.
TRAINING_FILES = (MODEL_FILE, WEIGHT_HISTORY_FILE, HISTORY_FILE, METRICS_FILE, RUN_FILE)
NETWORK_PATH = Path(TRAINING_FOLDER, MODEL_FILE)  # in the artifacts or the job's folder
# Other files in the artifacts of a training run. Later stages add folders with their
# names, such as evaluate.
DATA_FOLDER = "data"  # the summary of the data set, and plots
SETTINGS_FILE = "config.yaml"
CODE_FILE = "code.json"  # a hash of each module that determines the results
DIFF_FILE = "code.diff"  # see `provenance.code_diff`
PACKAGES_FILE = "packages.txt"
ERROR_FILE = "error.txt"  # a traceback, if a job of a sweep failed
# The folder with the report in the artifacts of a sweep, and its files, which are also
# in the sweep's folder.
REPORT_FOLDER = "sweep"
TABLE_FILE = "sweep.csv"
PLOT_FILE = "sweep.png"
