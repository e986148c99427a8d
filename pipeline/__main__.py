"""`python -m pipeline` lists the stages; it runs none of them."""

STAGES = {
    "data": "download a data set, verify it and plot it",
    "train": "train a network or a sweep, and record it in MLflow",
    "evaluate": "measure how well a network classifies test sets",
    "predict": "classify single images",
    "inspect": "explain the parameters of a trained network",
    "export": "export a network as C code and an ONNX file",
    "ui": "show the recorded runs in a browser, in MLflow's UI",
    "sync": "copy recorded runs to an MLflow server",
}

if __name__ == "__main__":
    for name, purpose in STAGES.items():
        print(f"python -m pipeline.{name:9} {purpose}")
    print("\nAdd --help to a command for its settings.")
