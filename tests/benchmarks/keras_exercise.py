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


times = []  # of the start of the training and of the end of each epoch
clock = keras.callbacks.LambdaCallback(
    on_train_begin=lambda logs: times.append(time.perf_counter()),
    on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()),
)
model = keras.Sequential()
model.add(keras.layers.Input((28, 28)))
model.add(keras.layers.Flatten())
model.add(keras.layers.Dense(20, activation="relu"))
model.add(keras.layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    idx("train-images-idx3-ubyte"),
    idx("train-labels-idx1-ubyte"),
    epochs=20,
    validation_data=(idx("t10k-images-idx3-ubyte"), idx("t10k-labels-idx1-ubyte")),
    callbacks=[clock],
    verbose=2,
)
print(json.dumps(np.diff(times).tolist()))
