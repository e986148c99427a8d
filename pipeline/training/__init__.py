"""Training: checkpoints, the data and files of a run, and reproduction.

These functions train, and each adds something to the function that it calls:

function            module                calls              adds
`fit`               core.loop                                trains a network, by epoch
`train_network`     core.loop             `fit`              a new network
`train_unrecorded`  unrecorded_training   `train_network`    one thread, the scores
`train_recorded`    recorded_training     `fit`              checkpoints, the recording
`reproduce`         reproduction          `train_recorded`   the comparison
`train`             train                 `train_recorded`,  one thread, the data set
                                          `reproduce`
`run_train`         pipeline.train        `train`            late imports, the tracker
`train`             pipeline.train        `run_train`        the call from Python

The workers of a sweep, the homework and the grader call `train_unrecorded`. The result
is a `TrainingRun` (`training_run`), which `training_files` writes and reads. `log`
records a training run, `printing` prints it, and `checkpoints` saves it after each
epoch. `size` estimates its memory and disk space, and `program` exports its network.
`run_names` names training runs. `result` is what a caller from Python gets.
"""
