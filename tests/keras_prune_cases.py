"""What is expected of `sparsity_report` and `prune`; run as `keras_cases.py` is."""

from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers
from keras_models import RandomModel

import fastreg.keras as fk

P = 12

# What is pruned does not depend on the backend: where there is PyTorch, which need not compile
# each of so many small models, the others do a few.
THOROUGH = keras.backend.backend() == "torch" or find_spec("torch") is None
thorough = pytest.mark.skipif(not THOROUGH, reason="done with PyTorch")


def half_squares(y, prediction):
    return 0.5 * ops.mean(ops.square(y - prediction))


def sequential(*hidden, seed=0, shape=(P,)):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(shape), *hidden])


def array(variable):
    return ops.convert_to_numpy(variable)


def zeroed(model, share, seed=0, dead=((0, 3), (1, 0)), unread=((0, 5), (1, 2)), inputs=(1, 7)):
    """Set weights to zero: a share of all, those into some neurons, out of some, and of inputs."""
    rng = np.random.default_rng(seed)
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    kernels = [array(layer.kernel).copy() for layer in dense]
    for kernel in kernels:
        kernel[rng.random(kernel.shape) < share] = 0.0
    for k, neuron in dead:
        kernels[k][:, neuron] = 0.0
    for k, neuron in unread:
        kernels[k + 1][neuron] = 0.0
    kernels[0][list(inputs)] = 0.0
    for layer, kernel in zip(dense, kernels, strict=True):
        layer.kernel.assign(kernel)
        if layer.use_bias:
            layer.bias.assign(rng.standard_normal(layer.units))
    return kernels


def test_report():
    model = sequential(
        layers.Dense(8, "relu", name="first"),
        layers.Reshape((4, 2), name="between"),
        layers.Conv1D(3, 2, name="second"),
    )
    kernel = np.ones((P, 8))
    kernel[[1, 4]], kernel[:, 2], kernel[0, 0] = 0.0, 0.0, 0.0
    filters = np.ones((2, 2, 3))
    filters[:, 0] = 0.0
    model.layers[0].kernel.assign(kernel)
    model.layers[2].kernel.assign(filters)
    report = fk.sparsity_report(keras.Sequential([keras.Input((P,)), model]))  # models in models
    first, second = report.layers
    assert (first.name, first.n_weights, first.n_zeros) == ("first", 96, 16 + 10 + 1)
    assert first.unused_inputs.tolist() == [1, 4]
    assert first.dead_neurons.tolist() == [2]
    assert (second.n_weights, second.n_zeros, second.zeros) == (12, 6, 0.5)
    assert second.unused_inputs.tolist() == [0]
    assert second.dead_neurons.tolist() == []
    assert report.zeros == (27 + 6) / 108
    assert str(report).splitlines() == [
        "layer   weights    zeros  dead neurons  unused inputs  after prune",
        "first        96    28.1%        1 of 8        2 of 12       10 x 8",
        "second       12    50.0%        0 of 3         1 of 2        2 x 3",
        "prune leaves the dead neurons of 'first', because of 'between' (Reshape)",
    ]


def test_report_is_drawn():
    pytest.importorskip("matplotlib")
    model = sequential(layers.Dense(8, "relu"), layers.Dense(500), layers.Dense(1))
    zeroed(model, 0.5)
    report = fk.sparsity_report(model)
    for style in ("light", "dark"):
        display = report.plot(style=style)
        assert len(display.axes_) == 3
        assert display.png()
        drawn = display.images_[0].get_array()
        np.testing.assert_array_equal(drawn, report.layers[0].used.T)
        heading = display.figure_.axes[0]
        assert f"{report.zeros:.1%} of the weights" in heading.get_title("left")
        assert heading.get_title("right") == "coloured: weights that are not zero"
    from fastreg.plotting import SparsityDisplay

    with pytest.raises(TypeError, match="result must be a SparsityReport, got Sequential"):
        SparsityDisplay.from_result(model)
    with pytest.raises(ValueError, match="style must be"):
        report.plot(style="grey")


def functional():
    inputs = keras.Input((3, 4))
    x = layers.Flatten()(inputs)
    for units in (8, 6):
        x = layers.ReLU(negative_slope=0.2)(layers.Dense(units)(x))
    return keras.Model(inputs, layers.Dense(2, "softmax")(x))


CHAINS = {
    "activations": lambda: sequential(
        layers.Dense(8, "relu"), layers.Dense(6, "tanh"), layers.Dense(2)
    ),
    "layers between": lambda: sequential(
        layers.Dense(8, use_bias=False), layers.Activation("gelu"), layers.Dropout(0.5),
        layers.Dense(6), layers.LeakyReLU(), layers.Dense(2), layers.Softmax(),
    ),
    "biases that come in": lambda: sequential(
        layers.Dense(8, "sigmoid"), layers.Dense(6, "elu", use_bias=False),
        layers.Dense(2, use_bias=False),
    ),
    "mixed": lambda: sequential(
        layers.Dense(8, "softmax"), layers.Dense(6), layers.Activation("softmax"), layers.Dense(2)
    ),
    "functional": functional,
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0] if THOROUGH else [0.6])
def test_pruned_models_give_the_same(name, share, tmp_path):
    model = CHAINS[name]()
    kernels = zeroed(model, share)
    X = np.random.default_rng(1).standard_normal((50, *model.input_shape[1:])).astype(np.float32)
    expected = model.predict(X, verbose=0)
    small = fk.prune(model)
    np.testing.assert_allclose(small.predict(X, verbose=0), expected, atol=1e-5)
    assert small.count_params() < model.count_params()
    found = [array(layer.kernel) for layer in small.layers if isinstance(layer, layers.Dense)]
    assert len(found) == 3
    if share == 0.0:
        neurons = (8, 6) if name == "mixed" else (6, 4)
        shapes = [(P - 2, neurons[0]), neurons, (neurons[1], 2)]
        assert [kernel.shape for kernel in found] == shapes
    if share == 1.0 and name != "mixed":
        assert [kernel.shape for kernel in found] == [(1, 1), (1, 1), (1, 2)]
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), expected, atol=1e-5)
    for layer, kernel in zip(
        [layer for layer in model.layers if isinstance(layer, layers.Dense)], kernels, strict=True
    ):
        np.testing.assert_array_equal(array(layer.kernel), kernel)  # not touched


def test_convolutions_are_pruned_with_what_follows():
    """Channels: 0 is dead, 1 unread, 2 multiplied by zero, and so on."""
    model = sequential(
        layers.Conv2D(6, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(5, 2, padding="same", use_bias=False),
        layers.Activation("sigmoid"),
        layers.Flatten(),
        layers.Dense(4),
        shape=(9, 9, 2),
    )
    first, norm, _, second, _, _, last = model.layers
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(layer.kernel.shape) for layer in (first, second, last)]
    kernels[0][..., 1, :] = 0.0  # an input
    kernels[0][..., 0] = 0.0
    kernels[1][:, :, 1] = 0.0
    kernels[1][..., 3] = 0.0
    kernels[2][4::5] = 0.0  # channel 4 at all places
    for layer, kernel in zip((first, second, last), kernels, strict=True):
        layer.kernel.assign(kernel)
    first.bias.assign(np.r_[-1.0, rng.standard_normal(5)])  # so that channel 0 is zero after relu
    gamma, variance = rng.uniform(1, 2, 6), rng.uniform(1, 2, 6)
    gamma[2], beta, mean = 0.0, np.zeros(6), np.zeros(6)
    norm.set_weights([gamma, beta, mean, variance])
    X = rng.standard_normal((5, 9, 9, 2)).astype(np.float32)
    small = fk.prune(model)
    np.testing.assert_allclose(array(small(X)), array(model(X)), rtol=1e-4, atol=1e-5)
    kernels = [array(layer.kernel).shape for layer in small.layers if hasattr(layer, "kernel")]
    assert kernels == [(3, 3, 1, 3), (2, 2, 3, 3), (3 * 3 * 3, 4)]
    assert [layer.pruned for layer in fk.sparsity_report(model).layers] == [(1, 3), (3, 3), (27, 4)]
    beta[2] = 1.0  # is no constant any more where zeros are beside it
    norm.set_weights([gamma, beta, mean, variance])
    small = fk.prune(model)
    np.testing.assert_allclose(array(small(X)), array(model(X)), rtol=1e-4, atol=1e-5)
    assert array(small.layers[1].kernel).shape == (3, 3, 1, 4)


@thorough
def test_joined_channels_are_left():
    inputs = keras.Input((6, 3))
    x = layers.Conv1D(4, 3, padding="same", name="stem")(inputs)
    branch = layers.Conv1D(5, 3, padding="same", activation="relu", name="narrow")(x)
    branch = layers.Conv1D(4, 3, padding="same", name="wide")(branch)
    x = layers.Add(name="join")([x, branch])
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    for layer in model.layers[1:4]:
        kernel = array(layer.kernel).copy()
        kernel[..., :2] = 0.0
        layer.kernel.assign(kernel)
    X = np.random.default_rng(0).standard_normal((5, 6, 3)).astype(np.float32)
    small = fk.prune(model)
    np.testing.assert_allclose(array(small(X)), array(model(X)), atol=1e-5)
    shapes = {layer.name: layer.kernel.shape[1:] for layer in small.layers[1:4]}
    assert shapes == {"stem": (3, 4), "narrow": (4, 3), "wide": (3, 4)}
    assert str(fk.sparsity_report(model)).splitlines()[-2:] == [
        f"prune leaves the dead neurons of {name!r}, because of 'join' (Add)"
        for name in ("stem", "wide")
    ]


def shared_layer():
    inputs, twice = keras.Input((P,)), layers.Dense(P, "relu")
    return keras.Model(inputs, layers.Dense(2)(twice(twice(inputs))))


def model_in_model():
    inputs = keras.Input((P,))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(6, "relu"), layers.Dense(3)])
    return keras.Model(inputs, layers.Dense(2)(inner(layers.Dense(8)(inputs))))


def dropout_while_predicting():
    inputs = keras.Input((P,))
    x = layers.Dense(8, "sigmoid")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Dropout(1e-9)(x, training=True)))


def attention():
    inputs = keras.Input((4, 3))
    x = layers.Dense(6)(inputs)
    x = layers.MultiHeadAttention(2, 3)(x, value=x, key=layers.Dense(6, "relu")(x))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


def named_ends():
    inputs = {"a": keras.Input((P,), name="a"), "b": keras.Input((P,), name="b")}
    x = layers.Dense(6, "relu")(layers.Concatenate()(list(inputs.values())))
    return keras.Model(inputs, {"c": layers.Dense(2)(x), "d": x})


@thorough
@pytest.mark.parametrize(
    ("make", "smaller"),
    [
        (shared_layer, False),
        (model_in_model, True),
        (dropout_while_predicting, False),
        (attention, False),
        (named_ends, False),
        (lambda: sequential(layers.ReLU()), False),
        (lambda: sequential(layers.Reshape((P, 1)), layers.LSTM(4), layers.Dense(2)), False),
    ],
    ids="shared inner training attention named nothing recurrent".split(),
)
def test_what_is_not_understood_is_left(make, smaller):
    model = make()
    for layer in [x for y in model.layers for x in getattr(y, "layers", [y])]:
        if hasattr(layer, "kernel"):
            kernel = array(layer.kernel).copy()
            kernel[:, 0] = 0.0
            layer.kernel.assign(kernel)
            layer.bias.assign(np.linspace(1.0, 2.0, layer.bias.shape[0]))
    shape = (5, *model.inputs[0].shape[1:])
    X = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    data = {"a": X, "b": 2.0 * X} if len(model.inputs) == 2 else X
    model.compile("sgd", half_squares)  # a loss that Keras could not find by its name
    small = fk.prune(model)
    for a, b in zip(keras.tree.flatten(small(data)), keras.tree.flatten(model(data)), strict=True):
        np.testing.assert_allclose(array(a), array(b), atol=1e-5)
    assert (small.count_params() < model.count_params()) is smaller
    assert not set(map(id, small.weights)) & set(map(id, model.weights))


@pytest.mark.parametrize("seed", range(40 if THOROUGH else 1))
def test_random_models_give_the_same(seed):
    maker = RandomModel(seed)
    model, data = maker.model, maker.data()
    expected = keras.tree.map_structure(array, model(data))
    small = fk.prune(model)
    for a, b in zip(keras.tree.flatten(small(data)), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(array(a), b, atol=2e-5 * (1.0 + np.max(np.abs(b))))
    assert small.count_params() <= model.count_params()
    assert fk.prune(small).count_params() == small.count_params()  # nothing was overlooked
    for layer in fk.sparsity_report(small).layers:
        assert layer.pruned == layer.used.shape


def test_a_trained_model_is_pruned():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((256, P)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.float32)
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(32, "relu", kernel_regularizer=fk.l21(0.02, "outputs"))
    last = layers.Dense(1, "sigmoid", kernel_regularizer=fk.l1(0.002))
    model = keras.Sequential([hidden, last])  # built by fit
    model.compile(optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(X, y, epochs=30, verbose=0)
    small = fk.prune(model)
    assert small.input_shape == (None, P)
    assert small.count_params() < 0.7 * model.count_params()
    np.testing.assert_allclose(small.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    assert len(fk.sparsity_report(small).layers[0].dead_neurons) == 0
    small.compile(optimizers.Adam(0.01), "binary_crossentropy")
    small.fit(X, y, verbose=0)  # and goes on


def test_what_cannot_be_pruned_or_reported():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = layers.Dense(1, name="last")

        def call(self, inputs):
            return self.last(inputs)

    model = Subclassed()
    model(np.zeros((2, 3), np.float32))
    assert fk.sparsity_report(model).layers[0].pruned == (3, 1)
    with pytest.raises(ValueError, match="model must be Sequential or functional"):
        fk.prune(model)
    with pytest.raises(ValueError, match="no Dense layer and no convolution"):
        fk.sparsity_report(sequential(layers.ReLU()))
    for function in (fk.prune, fk.sparsity_report):
        with pytest.raises(TypeError, match=r"model must be a keras\.Model, got str"):
            function("model")
        with pytest.raises(ValueError, match="no weights yet"):
            function(keras.Sequential([layers.Dense(1)]))
