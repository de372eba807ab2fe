"""The regularizers: a penalty for the reported loss, and the proximal step that belongs to it."""

import math
from numbers import Real
from typing import Any

import keras
from keras import ops
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.regularizers import ALL_OBJECTS_DICT

from fastreg.proximal import penalty, prox

_AXES = {"inputs": -2, "outputs": -1}


class Proximal(keras.Regularizer):
    """``l1 |w| + l2 |w|^2``, minimised by proximal steps; see `fastreg.keras`."""

    def __init__(self, l1: float, l2: float, group: str | int | None = None) -> None:
        self.l1 = _strength("l1", l1)
        self.l2 = _strength("l2", l2)
        if group is not None and group not in _AXES and type(group) is not int:
            raise ValueError(f"group must be 'inputs', 'outputs' or an axis, got {group!r}")
        self.group = group
        from fastreg.keras._optimizer import install  # which imports this class

        install()

    def __call__(self, x: Any) -> Any:
        """Return the penalty of x: without a gradient if x is a weight that `step` is done to."""
        x = ops.stop_gradient(x) if self._has_step(x) else ops.convert_to_tensor(x)
        return ops.cast(penalty(ops, x, **self._terms(x)), x.dtype)

    def step(self, variable: Any, lr: Any, scale: Any) -> None:
        """Set w to ``argmin over v of sum_i scale_i (v_i - w_i)^2 / (2 lr) + penalty(v)``."""
        terms = self._terms(variable)
        if keras.backend.backend() == "torch" and get_stateless_scope() is None:
            from fastreg.torch._steps import take_step  # in place, with fewer passes over memory

            take_step(variable.value, lr, scale, **terms)
        else:
            variable.assign(prox(ops, variable.value, lr, scale, **terms))

    def _has_step(self, x: Any) -> bool:
        """Tell the weight of a layer from an activity, and from what is given to `add_loss`.

        Where Keras works without state, it calls regularizers with the bare value of a weight.
        """
        if isinstance(x, keras.Variable):
            return x.regularizer is self
        scope = get_stateless_scope()
        return scope is not None and any(x is value for value in scope.state_mapping.values())

    def _terms(self, x: Any) -> dict[str, Any]:
        axis = _AXES[self.group] if isinstance(self.group, str) else self.group
        if axis is not None and not -len(x.shape) <= axis < len(x.shape):
            raise ValueError(
                f"group {self.group!r} is axis {axis}, which a weight of shape {tuple(x.shape)} "
                "does not have"
            )
        return {"l1": self.l1, "l2": 2.0 * self.l2, "axis": axis}


def _strength(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{name} must be zero or positive, and finite, got {value}")
    return number


def _named(name: str) -> Any:
    """Register a class for files and, which Keras does for its own only, for layer arguments.

    The names of the classes are not those of Keras's own, which a file would be read with where
    fastreg.keras is not imported; so there is an error then, and it names this module.
    """

    def register(cls: type) -> Any:
        ALL_OBJECTS_DICT[f"fastreg>{name}"] = cls
        return keras.saving.register_keras_serializable("fastreg", name)(cls)

    return register


@_named("l1")
class ProximalL1(Proximal):
    """``l1 sum_i |w_i|``: single weights become zero.

    Parameters
    ----------
    l1 : float
        Not negative; 0.01 by default, as in Keras.

    Raises
    ------
    TypeError, ValueError
        If l1 is no number, negative or not finite.

    Examples
    --------
    >>> import keras, fastreg.keras
    >>> layer = keras.layers.Dense(64, "relu", kernel_regularizer=fastreg.keras.l1(0.01))
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1, l2=0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"l1": self.l1}


@_named("l2")
class ProximalL2(Proximal):
    """``l2 sum_i w_i^2``: weights become small, none becomes zero.

    Parameters
    ----------
    l2 : float
        Not negative; 0.01 by default, as in Keras. There is no 1/2 in front.

    Raises
    ------
    TypeError, ValueError
        If l2 is no number, negative or not finite.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l1=0.0, l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"l2": self.l2}


@_named("l1_l2")
class ProximalL1L2(Proximal):
    """``l1 sum_i |w_i| + l2 sum_i w_i^2``, the elastic net.

    Parameters
    ----------
    l1, l2 : float
        Not negative; 0 by default, as in Keras.

    Raises
    ------
    TypeError, ValueError
        If one of them is no number, negative or not finite.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(l1=l1, l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"l1": self.l1, "l2": self.l2}


@_named("l21")
class ProximalL21(Proximal):
    """``l21 sum_g sqrt(sum_{i in g} w_i^2)``: whole inputs or whole neurons become zero.

    Parameters
    ----------
    l21 : float
        Not negative; 0.01 by default.
    group : {"inputs", "outputs"} or int
        Which slices of a weight are kept or zero as a whole: the weights that leave one input (the
        last axis but one of the kernel of a Dense or convolutional layer), those that enter one
        neuron or channel (the last axis), or those at one place of an axis. The kernel of a
        transposed convolution has the two the other way round.

    Raises
    ------
    TypeError, ValueError
        If l21 is no number, negative or not finite, or group is none of these; when used, if the
        weight has no such axis.
    """

    def __init__(self, l21: float = 0.01, group: str | int = "inputs") -> None:
        super().__init__(l1=_strength("l21", l21), l2=0.0, group=group)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"l21": self.l1, "group": self.group}


l1, l2, l1_l2, l21 = ProximalL1, ProximalL2, ProximalL1L2, ProximalL21
