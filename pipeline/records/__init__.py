"""What runs record, and the names that settings accept: the vocabulary of all packages.

These modules import only one another, `base`, `core`, and the errors that `pipeline`
defines.

what determines results     software, fingerprint
names of what runs record   tags, params, metric_names, file_names
files of a training run     run_files (here because `sweeps` and `tracking` read them
                            without PyTorch, which `model` and `training` import)
to check settings           dataset_names, student_ids, urls
"""
