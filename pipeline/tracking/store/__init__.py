"""The store: MLflow's database and artifacts in `outputs/`.

Runs in all processes of the table in `pipeline.tracking`.

`database` reads the store with SQL, without MLflow. `client` is MLflow's client, which
creates the store and writes to it. `locks` has the locks of runs, and `pages` has the
URLs of MLflow's pages. `base.tags` lists the tags of runs.
"""
