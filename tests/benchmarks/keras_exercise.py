"""The exercise in Keras, as in the course, with the duration of each epoch.

tests/benchmarks/speed.py runs it in a separate environment, with the folder of the
data sets as its argument; the last line that it prints is the seconds as JSON.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np


def idx(name):
    raw = Path(sys.argv[1], "MNIST", "raw", name).read_bytes()
    if "labels" in name:
        return np.frombuffer(raw, np.uint8, offset=8)
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28) / 255.0


class Seconds(keras.callbacks.Callback):
    """Records when each epoch ends."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


seconds = Seconds()
model = keras.Sequential(
    [
        keras.layers.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(20, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    idx("train-images-idx3-ubyte"),
    idx("train-labels-idx1-ubyte"),
    epochs=20,
    validation_data=(idx("t10k-images-idx3-ubyte"), idx("t10k-labels-idx1-ubyte")),
    callbacks=[seconds],
    verbose=2,
)
print(json.dumps(np.diff(seconds.times).tolist()))
