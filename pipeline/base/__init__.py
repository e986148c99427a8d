"""Helpers for all packages. These modules import only one another and `core`.

to print, show progress     terminal, progress
to format text              text, tables, templates (Jinja)
to find and write files     paths, files, csv_files, tensors, results_folder, resources
to run a command            process, locking, errors, git
to compare code             source_code, software, fingerprint
names of what runs record   tags, params, metric_names
files of a training run     run_files (here because `sweeps` and `tracking` read them
                            without PyTorch, which `model` and `training` import)
to check settings           dataset_names, student_ids, urls
to compare networks         pareto_front
"""
