"""The store: MLflow's database and artifacts in `outputs/`.

Runs in every process listed in the docstring of `pipeline.tracking`, as do all of its
modules.

`location` says where the files are. `database` reads the runs with SQL, without MLflow;
`sqlite` opens the database. `mlflow_calls` imports MLflow and translates its errors.
`client` is MLflow's client, which creates the store and writes to it;
`mlflow_internals` contains the code that depends on non-public parts of MLflow. `locks`
defines the locks of runs, and `pages` the URLs of MLflow's pages. `records.tags` lists
the tags of runs.
"""
