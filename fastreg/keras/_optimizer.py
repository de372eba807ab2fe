"""The proximal step at the end of `keras.Optimizer.apply`, and the step sizes of optimizers."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops, optimizers

from fastreg.keras._regularizers import Proximal
from fastreg.proximal import Root

_TINY = 1e-30  # keeps 0/0 away, and is nothing beside any other number
_WEIGHT_SUM = "_fastreg_weight_sum"

# Optimizers that keep what their step size needs.
_KNOWN = (
    optimizers.SGD,
    optimizers.Adam,  # of which AdamW is one
    optimizers.Nadam,
    optimizers.Adamax,
    optimizers.RMSprop,
    optimizers.Adagrad,
    optimizers.Adadelta,
    optimizers.Lion,
)

# Optimizers that compute the weights anew in each step, from sums that nothing else reaches.
_APART = {"Ftrl", "ScheduleFreeAdamW"}  # the second is not in every version of Keras


def install() -> None:
    """Wrap `build` and `apply` of `keras.Optimizer`, once; `fastreg.keras` says why these."""
    if not hasattr(keras.Optimizer.apply, "fastreg_original"):
        keras.Optimizer.build = _wrapped(keras.Optimizer.build, _build)
        keras.Optimizer.apply = _wrapped(keras.Optimizer.apply, _apply)


def _wrapped(original: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(original, self, *args, **kwargs)

    method.fastreg_original = original  # type: ignore[attr-defined]
    return method


def _is_penalised(variable: Any) -> bool:
    return isinstance(getattr(variable, "regularizer", None), Proximal)


def _build(original: Callable[..., Any], self: Any, variables: Any) -> Any:
    result = original(self, variables)
    if not any(_is_penalised(variable) for variable in variables):
        return result
    apart = _APART & {kind.__name__ for kind in type(self).__mro__}
    if apart:
        raise ValueError(
            f"a proximal step after one of {apart.pop()} is lost, since that computes the weights "
            "anew from sums of its own; use another optimizer, or keras.regularizers"
        )
    if isinstance(self, optimizers.SGD | optimizers.RMSprop) and self.momentum:
        # What the momentum would hold if every gradient had been -1.
        setattr(self, _WEIGHT_SUM, self.add_variable((), name="weight_sum"))
    return result


def _apply(
    original: Callable[..., Any], self: Any, grads: Any, trainable_variables: Any = None
) -> None:
    given = self._trainable_variables if trainable_variables is None else trainable_variables
    variables, grads = list(given), list(grads)
    penalised = [
        (variable, gradient)
        for variable, gradient in zip(variables, grads, strict=False)
        if gradient is not None and _is_penalised(variable)
    ]
    if not penalised:
        original(self, grads, None if trainable_variables is None else variables)
        return
    rate = self.learning_rate  # before a schedule moves on
    # Keras averages what the optimizer has reached; this is its share.
    share = ops.where(self.iterations == 0, 1.0, 1.0 - self.ema_momentum) if self.use_ema else None
    known = isinstance(self, _KNOWN)
    before = [None if known else ops.copy(variable.value) for variable, _ in penalised]
    original(self, grads, None if trainable_variables is None else variables)
    done: Any = 1.0
    if self.gradient_accumulation_steps:
        # Nothing was done but to add up gradients, unless as many are complete.
        rest = self._iterations % self.gradient_accumulation_steps
        done = ops.cast(ops.equal(rest, 0), "float32")
    _count_momentum(self, rate, done)
    for (variable, gradient), old in zip(penalised, before, strict=True):
        if known:
            lr, scale = _step_size(self, variable, ops.cast(rate, variable.dtype))
        else:
            lr, scale = _norm(variable.value - old), _norm(gradient) + _TINY
        lr = lr * ops.cast(done, variable.dtype)
        reached = None if share is None else ops.copy(variable.value)
        variable.regularizer.step(variable, lr, scale)
        if share is not None:
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            average.assign_add(ops.cast(share, variable.dtype) * (variable.value - reached))


def _count_momentum(optimizer: Any, rate: Any, done: Any) -> None:
    total = getattr(optimizer, _WEIGHT_SUM, None)
    if total is not None:
        now = optimizer.momentum * total.value + ops.cast(rate, total.dtype)
        total.assign(ops.where(ops.cast(done, "bool"), now, total.value))


def _norm(x: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(x)))


def _step_size(optimizer: Any, variable: Any, lr: Any) -> tuple[Any, Any]:
    """Return what the optimizer multiplied an (average) gradient with in the step just done.

    A pair: the quotient of a number, and of a number, tensor or `Root`.
    """

    def state(name: str) -> Any:
        return getattr(optimizer, name)[optimizer._get_variable_index(variable)].value

    def missing() -> Any:
        """Return what an average of squares, which started at zero, still lacks of one."""
        beta = ops.cast(optimizer.beta_2, variable.dtype)  # rounded as Keras does
        return ops.power(beta, ops.cast(optimizer.iterations, variable.dtype))

    epsilon = getattr(optimizer, "epsilon", 0.0)
    match optimizer:
        case optimizers.SGD():
            return _with_momentum(optimizer, lr), 1.0
        case optimizers.Adam() | optimizers.Nadam():
            v = state("_velocity_hats" if getattr(optimizer, "amsgrad", False) else "_velocities")
            known = ops.sqrt(1.0 - missing())
            # Nadam adds epsilon to the corrected root, Adam to the root.
            factor = known if isinstance(optimizer, optimizers.Nadam) else 1.0
            return lr * known, Root(v, factor * epsilon)
        case optimizers.Adamax():
            return lr, state("_u") + epsilon
        case optimizers.RMSprop():
            v = state("_velocities") + epsilon
            if optimizer.centered:
                v = v - ops.square(state("_average_gradients"))
            return _with_momentum(optimizer, lr), ops.sqrt(v)
        case optimizers.Adagrad():
            return lr, ops.sqrt(state("_accumulators") + epsilon)
        case optimizers.Adadelta():
            moved, squares = state("_accumulated_delta_vars"), state("_accumulated_grads")
            return lr, ops.sqrt((squares + epsilon) / (moved + epsilon))
        case _:  # Lion
            return lr * (1.0 - missing()), ops.abs(state("_momentums")) + _TINY


def _with_momentum(optimizer: Any, lr: Any) -> Any:
    """Return how far the weight moves in a step if every gradient has been -1."""
    if not optimizer.momentum:
        return lr
    total = getattr(optimizer, _WEIGHT_SUM, None)
    if total is None:  # built for other variables, so not at its beginning
        return lr / (1.0 - optimizer.momentum)
    total = ops.cast(total.value, lr.dtype)
    return lr + optimizer.momentum * total if getattr(optimizer, "nesterov", False) else total
