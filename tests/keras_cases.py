"""What is expected of `fastreg.keras` on the backend that KERAS_BACKEND names.

`test_keras.py` runs this file once a backend, each in a process of its own.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers

import fastreg
import fastreg.keras as fk

N, P = 80, 12


def regression():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) * np.linspace(0.5, 1.5, P)
    y = X[:, :3] @ [3.0, -2.0, 1.0] + 2.0 + rng.standard_normal(N)
    return X.astype(np.float32), y.astype(np.float32)


def half_squares(y, prediction):
    """fastreg's loss: half the mean of squares."""
    return 0.5 * ops.mean(ops.square(y - prediction))


def sequential(*hidden, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((P,)), *hidden])


def array(variable):
    return ops.convert_to_numpy(variable)


def train(model, optimizer, X, y, epochs=40):
    """Train on whole batches, 40 an epoch, with a learning rate that falls in the second half."""

    def rate(epoch, lr):
        return lr if epoch < epochs / 2 else lr * 0.5 ** (20 / epochs)

    model.compile(optimizer, half_squares)
    X, y = np.tile(X, (40, 1)), np.tile(y, 40)
    falling = keras.callbacks.LearningRateScheduler(rate)
    return model.fit(X, y, N, epochs, verbose=0, shuffle=False, callbacks=[falling])


OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.2),
    "momentum": lambda: optimizers.SGD(0.03, momentum=0.9),
    "Nesterov": lambda: optimizers.SGD(0.03, momentum=0.9, nesterov=True),
    "Adam": lambda: optimizers.Adam(0.05),
    "AMSGrad": lambda: optimizers.Adam(0.05, amsgrad=True),
    "AdamW": lambda: optimizers.AdamW(0.05, weight_decay=0.0),
    "Nadam": lambda: optimizers.Nadam(0.05),
    "Adamax": lambda: optimizers.Adamax(0.05),
    "RMSprop": lambda: optimizers.RMSprop(0.02, momentum=0.5),
    "RMSprop, centered": lambda: optimizers.RMSprop(0.02, centered=True, epsilon=1e-3),
    "Adagrad": lambda: optimizers.Adagrad(0.5),
    "Adadelta": lambda: optimizers.Adadelta(30.0),
    "loss scaling": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.05), 16.0),
    "accumulated": lambda: optimizers.SGD(0.2, gradient_accumulation_steps=2),
}
CASES = [(name, 0.2, 0.5) for name in OPTIMIZERS]
CASES += [(name, *case) for name in ("SGD", "momentum", "Adam") for case in ((0.2, 1.0), (0.5, 0))]


@pytest.mark.parametrize(("name", "alpha", "l1_ratio"), CASES)
def test_a_linear_layer_is_trained_to_what_the_solver_finds(name, alpha, l1_ratio):
    X, y = regression()
    best = fastreg.solve(X.astype(float), y.astype(float), alpha=alpha, l1_ratio=l1_ratio)
    regularizer = {
        0.0: fk.l2(alpha / 2),  # Keras has no 1/2 in front of the squares
        0.5: fk.l1_l2(alpha / 2, alpha / 4),
        1.0: fk.l1(alpha),
    }[l1_ratio]
    model = sequential(layers.Dense(1, kernel_regularizer=regularizer))
    history = train(model, OPTIMIZERS[name](), X, y)
    w, b = (array(variable).astype(float) for variable in model.weights)
    penalty = alpha * np.sum(l1_ratio * np.abs(w) + (1 - l1_ratio) / 2 * w**2)
    objective = np.mean((y - X @ w[:, 0] - b) ** 2) / 2 + penalty
    assert objective == pytest.approx(best.objective, rel=1e-6)
    np.testing.assert_array_equal(w[:, 0] == 0.0, best.coef == 0.0)
    assert history.history["loss"][-1] == pytest.approx(objective, rel=1e-5)  # with the penalty
    assert model.evaluate(X, y, N, verbose=0) == pytest.approx(objective, rel=1e-5)


def classification():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((256, P)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] > 0).astype(np.float32)


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "adam", "adamw", "rmsprop", "nadam", "lion", "adafactor", optimizers.Lamb],
    ids=str,
)
def test_the_line_of_the_article(optimizer):
    X, y = classification()
    l1 = fk.l1

    def zeros(l1):
        keras.utils.set_random_seed(0)
        model = keras.Sequential()
        model.add(layers.Dense(64, activation="relu", kernel_regularizer=l1(0.01)))
        model.add(layers.Dense(1, activation="sigmoid"))
        model.compile(
            optimizer=optimizer if isinstance(optimizer, str) else optimizer(),
            loss="binary_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(X, y, epochs=10, verbose=0)
        return np.mean(array(model.layers[0].kernel) == 0.0)

    assert zeros(keras.regularizers.l1) == 0.0
    assert 0.01 < zeros(l1) < 1.0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("group", "axis"), [("inputs", 1), ("outputs", 0)])
def test_groups(optimizer, group, axis):
    X, y = regression()
    hidden = layers.Dense(6, "tanh", kernel_regularizer=fk.l21(0.1, group))
    model = sequential(hidden, layers.Dense(1, kernel_regularizer=fk.l2(0.01)))
    train(model, OPTIMIZERS["SGD" if optimizer == "sgd" else "Adam"](), X, y, epochs=12)
    kernel = array(hidden.kernel)
    zero = np.all(kernel == 0.0, axis=axis)
    assert 0 < zero.sum() < len(zero)
    np.testing.assert_array_equal(np.any(kernel == 0.0, axis=axis), zero)
    value = 0.1 * np.sum(np.linalg.norm(kernel, axis=axis))
    assert float(ops.sum(hidden.losses)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda **r: layers.Conv1D(4, 3, **r), (12, 1)),
        (lambda **r: layers.Conv2D(4, 2, **r), (4, 3, 1)),
        (lambda **r: layers.EinsumDense("ab,bc->ac", 4, bias_axes="c", **r), (12,)),
    ],
    ids=["Conv1D", "Conv2D", "EinsumDense"],
)
@pytest.mark.parametrize("regularizer", [fk.l1(0.1), fk.l1_l2(0.1, 0.1), fk.l21(0.3, "outputs")])
def test_other_layers(layer, shape, regularizer):
    X, y = regression()
    layer = layer(kernel_regularizer=regularizer, bias_regularizer=fk.l1(100.0))
    model = sequential(layers.Reshape(shape), layer, layers.Flatten(), layers.Dense(1))
    train(model, optimizers.Adam(0.05), X, y, epochs=8)
    assert np.any(array(layer.kernel) == 0.0)
    assert np.all(array(layer.bias) == 0.0)  # asked for
    assert np.all(array(model.layers[-1].bias) != 0.0)


def test_one_step_is_that_of_the_optimizer_then_the_proximal_one():
    X, y = regression()
    hidden = {None: None, "ours": fk.l1(0.5)}
    for key, regularizer in hidden.items():
        model = sequential(layers.Dense(8, "tanh", kernel_regularizer=regularizer), layers.Dense(1))
        model.compile(optimizers.SGD(0.1), half_squares)
        model.fit(X, y, N, 1, verbose=0)
        hidden[key] = [array(variable) for variable in model.weights]
    plain, (w, *others) = hidden[None], hidden["ours"]
    soft = np.sign(plain[0]) * np.maximum(np.abs(plain[0]) - 0.05, 0.0)
    np.testing.assert_allclose(w, soft, atol=1e-6)
    assert 0 < np.sum(w == 0.0) < w.size
    for a, b in zip(others, plain[1:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_l2_is_weight_decay_to_first_order():
    X, y = regression()
    found = []
    for regularizer, decay in ((fk.l2(0.25), None), (None, 0.5)):
        model = sequential(layers.Dense(1, kernel_regularizer=regularizer, use_bias=False))
        model.compile(optimizers.SGD(1e-3, weight_decay=decay), half_squares)
        model.fit(X, y, N, 1, verbose=0)
        found.append(array(model.layers[0].kernel))
    np.testing.assert_allclose(*found, atol=2e-6)  # the decay of the largest weight is 3e-4


def test_steps_between_updates_do_nothing():
    X, y = regression()
    model = sequential(layers.Dense(1, kernel_regularizer=fk.l1(0.5)))
    model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=3), half_squares)
    model.build((None, P))
    before = array(model.layers[0].kernel)
    model.fit(np.tile(X, (2, 1)), np.tile(y, 2), N, verbose=0)
    np.testing.assert_array_equal(array(model.layers[0].kernel), before)
    model.fit(X, y, N, verbose=0)
    assert np.any(array(model.layers[0].kernel) != before)


def test_mixed_precision():
    X, y = regression()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = sequential(layers.Dense(8, "tanh", kernel_regularizer=fk.l1(0.1)), layers.Dense(1))
        train(model, optimizers.Adam(0.01), X, y, epochs=4)
    finally:
        keras.config.set_dtype_policy(policy)
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    kernel = array(model.layers[0].kernel)
    assert kernel.dtype == np.float32
    assert 0.0 < np.mean(kernel == 0.0) < 1.0


def test_the_penalty_of_an_activity_is_differentiated_as_in_keras():
    X, y = regression()
    found = []
    for l1 in (fk.l1, keras.regularizers.l1):
        model = sequential(layers.Dense(4, "relu", activity_regularizer=l1(0.1)), layers.Dense(1))
        model.compile(optimizers.SGD(0.01), half_squares)
        history = model.fit(X, y, N, 3, verbose=0).history["loss"]
        found.append([*history, *array(model.layers[0].kernel).ravel()])
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_what_keras_does_itself_is_as_before():
    X, y = regression()
    model = sequential(layers.Dense(1, kernel_regularizer=keras.regularizers.l1(0.1)))
    train(model, optimizers.SGD(0.1), X, y, epochs=5)
    assert np.all(array(model.layers[0].kernel) != 0.0)


def test_a_constraint_holds_as_well():
    X, y = regression()
    layer = layers.Dense(1, kernel_regularizer=fk.l1(0.2), kernel_constraint="non_neg")
    train(sequential(layer), optimizers.Adam(0.05), X, y, epochs=8)
    kernel = array(layer.kernel)
    assert np.all(kernel >= 0.0)
    assert np.any(kernel == 0.0)
    assert np.any(kernel > 0.5)


def test_saved_and_loaded_models_go_on_in_the_same_way(tmp_path):
    X, y = regression()
    regularizers = [fk.l1(0.1), fk.l2(0.2), fk.l1_l2(0.1, 0.2), fk.l21(0.1, group="outputs")]
    hidden = [layers.Dense(5, kernel_regularizer=regularizer) for regularizer in regularizers]
    model = sequential(*hidden, layers.Dense(1))
    model.compile("adam", "mse")
    model.fit(X, y, N, 5, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert model.fit(X, y, N, 5, verbose=0, shuffle=False).history["loss"] == pytest.approx(
        loaded.fit(X, y, N, 5, verbose=0, shuffle=False).history["loss"], rel=1e-5
    )
    for ours, theirs in zip(model.layers, loaded.layers, strict=True):
        np.testing.assert_allclose(array(ours.kernel), array(theirs.kernel), atol=1e-6)
    for regularizer, layer in zip(regularizers, loaded.layers, strict=False):
        assert type(layer.kernel_regularizer) is type(regularizer)
        assert layer.kernel_regularizer.get_config() == regularizer.get_config()
    code = f"import keras; keras.saving.load_model({str(tmp_path / 'model.keras')!r})"
    ran = subprocess.run([sys.executable, "-P", "-c", code], stderr=subprocess.PIPE, check=False)
    assert b"fastreg.keras" in ran.stderr  # which has to be imported
    copied = keras.models.clone_model(model)
    assert copied.layers[0].kernel_regularizer.l1 == 0.1
    assert keras.models.model_from_json(model.to_json()).layers[1].kernel_regularizer.l2 == 0.2


def test_names():
    for name, l1, l2 in (
        ("l1", 0.01, 0.0),
        ("l2", 0.0, 0.01),
        ("l1_l2", 0.0, 0.0),
        ("l21", 0.01, 0),
    ):
        found = layers.Dense(1, kernel_regularizer=f"fastreg>{name}").kernel_regularizer
        assert type(found) is getattr(fk, name)
        assert (found.l1, found.l2) == (l1, l2)
        again = keras.regularizers.deserialize(keras.regularizers.serialize(found))
        assert type(again) is type(found)
    assert isinstance(keras.regularizers.get("l1"), keras.regularizers.L1)  # theirs


def test_a_penalty_is_that_of_keras():
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    for ours, theirs in (
        (fk.l1(0.3), keras.regularizers.l1(0.3)),
        (fk.l2(0.3), keras.regularizers.l2(0.3)),
        (fk.l1_l2(0.3, 0.2), keras.regularizers.L1L2(0.3, 0.2)),
        (fk.l1_l2(), keras.regularizers.L1L2()),
    ):
        assert float(ours(x)) == pytest.approx(float(theirs(ops.convert_to_tensor(x))), rel=1e-6)
        assert float(ours(keras.Variable(x))) == pytest.approx(float(ours(x)))


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
        layers.Reshape((4, 2)),
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
        "layer   weights    zeros  dead neurons  unused inputs",
        "first        96    28.1%        1 of 8        2 of 12",
        "second       12    50.0%        0 of 3         1 of 2",
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
        assert f"{report.zeros:.1%} of the weights" in display.figure_.axes[0].get_title("left")
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
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
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


def test_a_trained_model_is_pruned():
    X, y = classification()
    model = sequential(
        layers.Dense(32, "relu", kernel_regularizer=fk.l21(0.02, "outputs")),
        layers.Dense(1, "sigmoid", kernel_regularizer=fk.l1(0.002)),
    )
    model.compile(optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(X, y, epochs=30, verbose=0)
    small = fk.prune(model)
    assert small.count_params() < 0.7 * model.count_params()
    np.testing.assert_allclose(small.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    assert len(fk.sparsity_report(small).layers[0].dead_neurons) == 0
    small.compile(optimizers.Adam(0.01), "binary_crossentropy")
    small.fit(X, y, verbose=0)  # and goes on


def test_what_cannot_be_pruned_or_reported():
    inputs = keras.Input((P,))
    hidden = layers.Dense(P)(inputs)
    cases = {
        r"layer 'c' is a Conv1D; models of Dense": sequential(
            layers.Reshape((P, 1)), layers.Conv1D(2, 2, name="c"), layers.Flatten(), layers.Dense(1)
        ),
        r"layer 'b' is a BatchNormalization": sequential(
            layers.Dense(3), layers.BatchNormalization(name="b"), layers.Dense(1)
        ),
        r"is not the next in a chain": keras.Model(
            inputs, layers.Dense(1, name="last")(layers.Add()([hidden, inputs]))
        ),
        r"one input and output": keras.Model(inputs, [hidden, layers.Dense(1)(hidden)]),
        r"has no Dense layer": sequential(layers.ReLU()),
    }
    for message, model in cases.items():
        with pytest.raises(ValueError, match=message):
            fk.prune(model)
    with pytest.raises(ValueError, match="no Dense layer and no convolution"):
        fk.sparsity_report(sequential(layers.ReLU()))
    for function in (fk.prune, fk.sparsity_report):
        with pytest.raises(TypeError, match=r"model must be a keras\.Model, got str"):
            function("model")
        with pytest.raises(ValueError, match="no weights yet"):
            function(keras.Sequential([layers.Dense(1)]))


def test_bad_input():
    for make in (fk.l1, fk.l2, fk.l21, lambda value: fk.l1_l2(l2=value)):
        with pytest.raises(TypeError, match=r"l\d+ must be a number, got '1'"):
            make("1")
        for value in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=r"l\d+ must be zero or positive, and finite, got"):
                make(value)
    with pytest.raises(ValueError, match="group must be 'inputs', 'outputs' or an axis"):
        fk.l21(0.1, group="neurons")
    with pytest.raises(ValueError, match="'inputs' is axis -2, which a weight of shape"):
        fk.l21(0.1)(np.zeros(3))


def test_installed_once():
    code = (
        "import keras; before = keras.Optimizer.apply\n"
        "import importlib, fastreg.keras\n"
        "once = keras.Optimizer.apply; fastreg.keras._optimizer.install()\n"
        "assert keras.Optimizer.apply is once is not before\n"
        "assert once.fastreg_original is before"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=os.environ)
