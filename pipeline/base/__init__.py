"""Tools for all packages.

These modules import only one another, and the errors that `pipeline` defines.

to print, show progress     terminal, progress
to format text              text, tables, templates (Jinja)
to find and write files     paths, files, csv_files, tensors, results_folder, resources
to run a command            process, locking, error_messages, git
to run another process      helper_process
to compare code             source_code
"""
