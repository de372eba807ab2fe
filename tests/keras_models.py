"""Models at random: of all that `fastreg.keras.prune` knows, and of some that it does not."""

import keras
import numpy as np
from keras import layers

ACTIVATIONS = ["relu", "tanh", "sigmoid", "elu", "gelu", "softplus", "leaky_relu", None]


class RandomModel:
    """A functional model with some data for it."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.model = self.network()
        self.zero()

    def often(self, share=0.5):
        return self.rng.random() < share

    def any(self, *options):
        return options[self.rng.integers(len(options))]

    def kernel(self, x, kind, n, **options):
        return kind(n, activation=self.any(*ACTIVATIONS), use_bias=self.often(0.7), **options)(x)

    def after(self, x):
        """What may follow a layer, in any order."""
        for _ in range(self.rng.integers(0, 3)):
            x = self.any(
                lambda: layers.BatchNormalization(scale=self.often(0.7), center=self.often(0.7)),
                lambda: layers.Activation(self.any("relu", "sigmoid", "mish")),
                lambda: layers.ReLU(negative_slope=0.1),
                lambda: layers.Dropout(0.3),
                lambda: layers.LayerNormalization() if self.often(0.2) else layers.LeakyReLU(),
            )()(x)
        return x

    def convolution(self, x, d, n=None, padding=None):
        kind = {1: layers.Conv1D, 2: layers.Conv2D}[d]
        size = self.any(1, 2, 3)
        padding = padding or self.any("valid", "same")
        n = n or int(self.rng.integers(2, 7))
        return self.after(self.kernel(x, kind, n, kernel_size=size, padding=padding))

    def places(self, x, d):
        """Something that works on the places of a picture."""

        def pick(name):
            return getattr(layers, f"{name}{d}D")

        def same(n=None):
            return self.convolution(x, d, n, "same")

        return self.any(
            lambda: pick("MaxPooling")(2, padding="same")(x),
            lambda: pick("AveragePooling")(2, padding=self.any("same", "valid"))(x),
            lambda: pick("ZeroPadding")(1)(x),
            lambda: pick("UpSampling")(2)(x),
            lambda: layers.Add()([x, same(x.shape[-1])]),
            lambda: x + same(x.shape[-1]),
            lambda: layers.Concatenate()([same(), same()]),
            lambda: layers.Concatenate()([x, same()]),
        )()

    def picture(self, d):
        inputs = keras.Input((*map(int, self.rng.integers(6, 9, d)), int(self.rng.integers(1, 4))))
        x = self.convolution(inputs, d) if self.often(0.8) else inputs
        for _ in range(self.rng.integers(0, 3)):
            x = self.places(x, d)
            x = self.convolution(x, d, padding="same")
        pooled = getattr(layers, self.any("GlobalMaxPooling", "GlobalAveragePooling") + f"{d}D")
        return inputs, self.any(
            lambda: pooled()(x),
            lambda: layers.Flatten()(x),
            lambda: layers.Flatten()(layers.Reshape((-1, x.shape[-1]))(x)),
        )()

    def network(self):
        parts = [self.picture(int(self.rng.integers(1, 3)))] if self.often(0.7) else []
        if not parts or self.often(0.4):
            inputs = keras.Input((int(self.rng.integers(3, 9)),))
            hidden = self.after(self.kernel(inputs, layers.Dense, 5))
            parts.append((inputs, self.any(inputs, hidden)))
        inputs, ends = zip(*parts, strict=True)
        x = layers.Concatenate()(list(ends)) if len(ends) > 1 else ends[0]
        outputs = []
        for _ in range(self.rng.integers(1, 4)):
            x = self.after(self.kernel(x, layers.Dense, int(self.rng.integers(2, 8))))
            if self.often(0.2):
                outputs.append(x)
            if self.often(0.2):
                x = layers.Add()([x, layers.Dense(x.shape[-1], "relu")(x)])
        outputs.append(layers.Dense(2, self.any(None, "softmax"))(x))
        return keras.Model(list(inputs), outputs)

    def zero(self):
        """Set weights: single ones, inputs, neurons and channels to zero, others at random."""
        for layer in self.model.layers:
            if isinstance(layer, layers.BatchNormalization):
                weights = [self.rng.uniform(0.5, 2.0, w.shape) for w in layer.weights]
                if layer.scale:
                    weights[0] *= self.rng.random(weights[0].shape) > 0.2
                layer.set_weights(weights)
            elif hasattr(layer, "kernel"):
                shape = tuple(layer.kernel.shape)
                kernel = self.rng.standard_normal(shape) * (
                    self.rng.random(shape) > self.any(0.0, 0.5, 0.9)
                )
                kernel[..., self.rng.random(shape[-1]) < 0.3] = 0.0
                kernel[..., self.rng.random(shape[-2]) < 0.3, :] = 0.0
                layer.kernel.assign(kernel)
                if layer.use_bias:
                    layer.bias.assign(self.rng.standard_normal(shape[-1]))

    def data(self):
        shapes = [(7, *x.shape[1:]) for x in self.model.inputs]
        return [self.rng.standard_normal(shape).astype(np.float32) for shape in shapes]
