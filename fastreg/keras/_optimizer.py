"""The proximal step at the end of `keras.Optimizer.apply`, and the step sizes of optimizers."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops, optimizers

from fastreg.keras._regularizers import Proximal


def install() -> None:
    """Wrap `keras.Optimizer.apply`, once.

    This is the one place that every optimizer and backend passes through, with its own state at
    hand. A constraint, Keras's hook after a step, would have to guess the step size, and is called
    between the steps of an accumulated gradient, too.
    """
    original = keras.Optimizer.apply
    if hasattr(original, "fastreg_original"):
        return

    @functools.wraps(original)
    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        given = self._trainable_variables if trainable_variables is None else trainable_variables
        variables, grads = list(given), list(grads)
        penalised = [
            variable
            for variable, gradient in zip(variables, grads, strict=False)
            if gradient is not None and isinstance(getattr(variable, "regularizer", None), Proximal)
        ]
        learning_rate = self.learning_rate if penalised else None  # before the schedule moves on
        original(self, grads, None if trainable_variables is None else variables)
        _take_steps(self, penalised, learning_rate)

    apply.fastreg_original = original  # type: ignore[attr-defined]
    keras.Optimizer.apply = apply


def _take_steps(optimizer: Any, variables: Sequence[Any], learning_rate: Any) -> None:
    for variable in variables:
        lr = ops.cast(learning_rate, variable.dtype)
        lr, scale = _step_size(optimizer, variable, lr)
        if optimizer.gradient_accumulation_steps:
            # Nothing was done but to add up gradients, unless as many are complete.
            rest = optimizer._iterations % optimizer.gradient_accumulation_steps
            lr = lr * ops.cast(ops.equal(rest, 0), variable.dtype)
        variable.assign(variable.regularizer.step(variable.value, lr, scale))


def _step_size(optimizer: Any, variable: Any, lr: Any) -> tuple[Any, Any]:
    """Return what the optimizer multiplied an (average) gradient with in the step just done.

    A pair: the quotient of a number, and of a number or tensor.
    """
    count = ops.cast(optimizer.iterations, variable.dtype)

    def state(name: str) -> Any:
        return getattr(optimizer, name)[optimizer._get_variable_index(variable)].value

    match optimizer:
        case optimizers.SGD():
            return lr * _momentum_factor(optimizer, count), 1.0
        case optimizers.Adam() | optimizers.Nadam():  # AdamW is an Adam
            v = state("_velocity_hats" if getattr(optimizer, "amsgrad", False) else "_velocities")
            known = ops.sqrt(1.0 - ops.power(optimizer.beta_2, count))
            # Nadam adds epsilon to the corrected root, Adam to the root.
            factor = known if isinstance(optimizer, optimizers.Nadam) else 1.0
            return lr * known, ops.sqrt(v) + factor * optimizer.epsilon
        case optimizers.Adamax():
            return lr, state("_u") + optimizer.epsilon
        case optimizers.RMSprop():
            v = state("_velocities") + optimizer.epsilon
            if optimizer.centered:
                v = v - ops.square(state("_average_gradients"))
            return lr * _momentum_factor(optimizer, count), ops.sqrt(v)
        case optimizers.Adagrad():
            return lr, ops.sqrt(state("_accumulators") + optimizer.epsilon)
        case optimizers.Adadelta():
            moved, squares = state("_accumulated_delta_vars"), state("_accumulated_grads")
            return lr, ops.sqrt((squares + optimizer.epsilon) / (moved + optimizer.epsilon))
        case _:
            return lr, 1.0


def _momentum_factor(optimizer: Any, count: Any) -> Any:
    """Return what the momentum would hold if every gradient had been 1."""
    momentum = optimizer.momentum
    if not momentum:
        return 1.0
    total = (1.0 - ops.power(momentum, count)) / (1.0 - momentum)
    return 1.0 + momentum * total if getattr(optimizer, "nesterov", False) else total
