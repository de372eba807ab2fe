"""What is expected of `fastreg.keras` on the backend that KERAS_BACKEND names.

`test_keras.py` runs this file once a backend, each in a process of its own.
"""

import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers

import fastreg
import fastreg.keras as fk
from fastreg.proximal import prox

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


def train(model, optimizer, X, y, epochs=16):
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
    "Nadam, accumulated": lambda: optimizers.Nadam(0.05, gradient_accumulation_steps=2),
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
    train(model, optimizers.Adam(0.05), X, y, epochs=4)
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


@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
def test_steps_between_updates_do_nothing(optimizer):
    X, y = regression()
    model = sequential(layers.Dense(1, kernel_regularizer=fk.l1(0.5)))
    model.compile(optimizer(0.1, gradient_accumulation_steps=3), half_squares)
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


def linear(l1=0.2, make=keras.Sequential):
    keras.utils.set_random_seed(0)
    return make([keras.Input((P,)), layers.Dense(1, kernel_regularizer=fk.l1(l1))])


def is_solved(model, rel=1e-5, l1=0.2):
    """Check what a linear layer was trained to against the solver."""
    X, y = regression()
    best = fastreg.solve(X.astype(float), y.astype(float), alpha=l1, l1_ratio=1.0)
    w, b = (array(variable).astype(float) for variable in model.trainable_variables)
    objective = np.mean((y - X @ w[:, 0] - b) ** 2) / 2 + l1 * np.sum(np.abs(w))
    assert objective == pytest.approx(best.objective, rel=rel)
    np.testing.assert_array_equal(w[:, 0] == 0.0, best.coef == 0.0)


def fit(model, epochs=1):
    X, y = regression()
    model.fit(np.tile(X, (40, 1)), np.tile(y, 40), N, epochs, verbose=0, shuffle=False)


@pytest.mark.parametrize(
    "schedule",
    [
        optimizers.schedules.CosineDecay(0.03, 600),
        optimizers.schedules.PolynomialDecay(0.03, 600, 0.0),
        optimizers.schedules.ExponentialDecay(0.03, 20, 0.9),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_zeros_stay_while_the_learning_rate_goes_to_zero_and_is_zero(schedule):
    model = linear()
    model.compile(optimizers.SGD(schedule, momentum=0.9), half_squares)
    fit(model, 16)  # 640 steps, after the last of which momentum still moves weights
    is_solved(model)


@pytest.mark.parametrize(
    "options",
    [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 4}],
    ids=lambda options: next(iter(options)),
)
def test_ways_to_compile(options):
    if "run_eagerly" not in options and keras.backend.backend() == "torch":
        pytest.skip("Keras has no steps_per_execution on PyTorch, and jit_compile takes a minute")
    model = linear()
    model.compile(optimizers.SGD(0.2), half_squares, **options)
    fit(model, 5)
    is_solved(model)


def test_loops_of_ones_own():
    X, y = regression()
    model = linear()
    model.compile(optimizers.SGD(0.2, momentum=0.2), half_squares)
    for _ in range(100):
        model.train_on_batch(X, y)
    is_solved(model)
    model, optimizer = linear(), optimizers.Adam(optimizers.schedules.CosineDecay(0.1, 400))
    for _ in range(400):
        residual = array(model(X)) - y[:, None]
        gradients = [X.T @ residual / N, residual.mean(axis=0)]
        gradients = [ops.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
    is_solved(model)


def test_models_and_optimizers_side_by_side():
    shared = fk.l1(0.2)
    first, second = linear(), linear()
    for model in (first, second):
        model.layers[0].kernel.regularizer = shared
    first.compile(optimizers.SGD(0.2), half_squares)
    second.compile(optimizers.Adam(0.01), half_squares)
    fit(second)
    second.compile(optimizers.SGD(0.1, momentum=0.5), half_squares)
    for _ in range(5):
        fit(first)
        fit(second)
    is_solved(first)
    is_solved(second)


def test_a_penalty_can_be_set_later():
    model = linear(0.0)
    model.compile(optimizers.SGD(0.03, momentum=0.9), half_squares)
    fit(model)
    model.layers[0].kernel.regularizer = fk.l1(0.2)
    model.make_train_function(force=True)
    fit(model, 5)
    is_solved(model)


def test_the_average_over_steps_is_of_what_the_proximal_steps_reach():
    model = linear()
    model.compile(optimizers.SGD(0.2, use_ema=True, ema_momentum=0.9), half_squares)
    fit(model, 8)  # ends with the average as the weights
    X, y = regression()
    best = fastreg.solve(X.astype(float), y.astype(float), alpha=0.2, l1_ratio=1.0)
    np.testing.assert_allclose(array(model.layers[0].kernel)[:, 0], best.coef, atol=2e-3)


def test_a_penalty_that_is_added_by_hand_is_differentiated_as_in_keras():
    class Layer(layers.Dense):
        def call(self, inputs):
            self.add_loss(self.l1(self.kernel))
            return super().call(inputs)

    found = []
    for l1 in (fk.l1(0.2), keras.regularizers.l1(0.2)):
        keras.utils.set_random_seed(0)
        layer = Layer(1)
        layer.l1 = l1
        model = sequential(layer)
        model.compile(optimizers.SGD(0.1), half_squares)
        fit(model)
        found.append(array(layer.kernel))
    np.testing.assert_allclose(*found, atol=1e-5)


def test_pickling():
    model = linear()
    model.compile(optimizers.SGD(0.2), half_squares)
    for regularizer in (fk.l1(0.1), fk.l2(0.1), fk.l1_l2(0.1, 0.2), fk.l21(0.1, "outputs")):
        again = pickle.loads(pickle.dumps(regularizer))
        assert type(again) is type(regularizer)
        assert again.get_config() == regularizer.get_config()
    model = pickle.loads(pickle.dumps(linear()))
    model.compile(optimizers.SGD(0.2), half_squares)
    fit(model, 5)
    is_solved(model)


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


@pytest.mark.parametrize("name", ["Ftrl", "ScheduleFreeAdamW"])
def test_optimizers_that_would_lose_the_step(name):
    if not hasattr(optimizers, name):
        pytest.skip(f"this Keras has no {name}")
    model = linear()
    model.compile(getattr(optimizers, name)(), half_squares)
    with pytest.raises(ValueError, match=f"a proximal step after one of {name} is lost"):
        fit(model)
    model.layers[0].kernel.regularizer = keras.regularizers.l1(0.2)
    model.compile(getattr(optimizers, name)(), half_squares)
    fit(model)


def test_one_optimizer_for_each_layer():
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer")
    model = linear()
    pick = {"kernel": optimizers.SGD(0.2), "bias": optimizers.Adam(0.05)}
    model.compile(optimizers.MultiOptimizer(lambda variable: pick[variable.name]), half_squares)
    fit(model, 6)
    is_solved(model)


def test_numbers_of_numpy():
    penalty = fk.l1_l2(np.float32(0.5), np.int64(2))
    assert penalty.get_config() == {"l1": 0.5, "l2": 2.0}
    assert type(penalty.get_config()["l2"]) is float  # as files need it


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


def test_keras_is_left_alone_until_there_is_a_penalty():
    code = (
        "import keras, fastreg.keras\n"
        "apply = keras.Optimizer.apply\n"
        "assert not hasattr(apply, 'fastreg_original')\n"
        "fastreg.keras.l1(), fastreg.keras.l2()\n"
        "assert keras.Optimizer.apply.fastreg_original is apply"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=os.environ)


@pytest.mark.parametrize("spread", [0.0, 1.0, 2.0])
def test_norms_of_groups_are_at_their_root_on_every_backend(spread):
    rng = np.random.default_rng(3)
    z = rng.standard_normal((7, 9)).astype(np.float32) * np.geomspace(1e-3, 10.0, 9)
    z[:, 4] = 0.0
    scale = 10.0 ** (spread * rng.uniform(-1.0, 1.0, z.shape))
    terms = {"l1": 0.7, "l2": 0.2, "axis": 1}
    expected = prox(np, z, 0.5, scale, **terms)
    found = prox(ops, *(ops.convert_to_tensor(x, "float32") for x in (z, 0.5, scale)), **terms)
    np.testing.assert_allclose(array(found), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(array(found) == 0.0, expected == 0.0)
    assert 1 < np.all(expected == 0.0, axis=0).sum() < 9
