"""What a training step costs with our penalty: against Keras's own l1, and against plain Adam.

``KERAS_BACKEND=jax python -m benchmarks.networks [BATCH ...]`` prints ratios of processor time, on
one thread, for three layers of 512 neurons; each is to be at most 1.1. Not a part of the suite,
since it needs the extras ``keras`` and ``torch``.
"""

import os
import statistics
import sys
from importlib.util import find_spec
from time import process_time

import numpy as np

WIDTH, ROUNDS = 512, 40
BATCHES = (32, 128, 512)


def compare(ours, theirs):
    """Median of the ratio, and the median time of theirs in ms, alternating."""
    ratios, times = [], []
    for _ in range(3):
        ours(), theirs()
    for k in range(ROUNDS):
        pair = {}
        for function in (ours, theirs) if k % 2 else (theirs, ours):
            start = process_time()
            function()
            pair[function] = process_time() - start
        ratios.append(pair[ours] / pair[theirs])
        times.append(pair[theirs])
    return statistics.median(ratios), 1e3 * statistics.median(times)


def data(batch, steps):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch * steps, WIDTH)).astype(np.float32)
    return X, rng.integers(0, 10, batch * steps)


def keras_fit(penalty, optimizer, batch, steps=20):
    import keras
    from keras.layers import Dense

    keras.utils.set_random_seed(0)
    hidden = [Dense(WIDTH, "relu", kernel_regularizer=penalty(1e-5)) for _ in range(3)]
    model = keras.Sequential([keras.Input((WIDTH,)), *hidden, Dense(10, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    X, y = data(batch, steps)
    return lambda: model.fit(X, y, batch, verbose=0)


def torch_steps(penalise, batch, steps=5, **options):
    import torch
    from torch.nn import Linear, ReLU, Sequential

    from fastreg.torch import Proximal

    torch.set_num_threads(1)
    torch.manual_seed(0)
    hidden = [layer for _ in range(3) for layer in (Linear(WIDTH, WIDTH), ReLU())]
    model = Sequential(*hidden, Linear(WIDTH, 10))
    optimizer = torch.optim.Adam(model.parameters(), **options)
    if penalise:
        Proximal(optimizer, {layer: {"l1": 1e-5} for layer in hidden[::2]})
    X, y = map(torch.from_numpy, data(batch, 1))

    def train():
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()

    return train


def line(label, batch, ours, theirs, steps):
    ratio, ms = compare(ours, theirs)
    print(f"{label:34} batch {batch:4}  ratio {ratio:5.2f}  (theirs {ms / steps:.2f} ms a step)")


def main(batches):
    if find_spec("torch"):
        for batch in batches:
            ours, theirs = torch_steps(True, batch), torch_steps(False, batch)
            line("PyTorch, Adam / plain Adam", batch, ours, theirs, 5)
    if find_spec("keras"):
        import keras

        import fastreg.keras

        name = keras.backend.backend()
        for optimizer in ("sgd", "adam"):
            for batch in batches:
                ours = keras_fit(fastreg.keras.l1, optimizer, batch)
                theirs = keras_fit(keras.regularizers.l1, optimizer, batch)
                line(f"Keras on {name}, {optimizer} / its own l1", batch, ours, theirs, 20)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main([int(word) for word in sys.argv[1:]] or BATCHES)
