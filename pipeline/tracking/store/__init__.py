"""The store: MLflow's database and artifacts in `outputs/`.

`database` reads it with SQL, without MLflow; `client` is MLflow's client,
which creates it. `locks` lists the locks of runs, `pages` the URLs of MLflow's pages.
`base.tags` lists the tags of runs.
"""
