"""A smaller model from the zeros of a trained one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import layers, ops

# Those that work on each number by itself, so that a neuron can be taken away.
_ELEMENTWISE = {
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softplus", "softsign", "squareplus", "tanh", "tanh_shrink", "threshold",
}  # fmt: skip
_ELEMENTWISE_LAYERS = (layers.ReLU, layers.LeakyReLU, layers.ELU)
_INACTIVE_LAYERS = (
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
)
_KNOWN_LAYERS = (layers.Activation, layers.Softmax, *_ELEMENTWISE_LAYERS, *_INACTIVE_LAYERS)
_SHAPE_LAYERS = (layers.Flatten, layers.Reshape)


@keras.saving.register_keras_serializable("fastreg")
class SelectFeatures(layers.Layer):
    """``x[..., indices]``: what the first layer of a pruned model reads.

    Parameters
    ----------
    indices : sequence of int
    """

    def __init__(self, indices: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.indices = [int(i) for i in indices]

    def call(self, inputs: Any) -> Any:
        """Select."""
        return ops.take(inputs, np.array(self.indices, dtype="int32"), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with as many features as are kept."""
        return (*input_shape[:-1], len(self.indices))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "indices": self.indices}


class _Dense:
    """A Dense layer with its weights as arrays, and the layers up to the next one."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.kernel = ops.convert_to_numpy(layer.kernel)
        self.bias = (
            ops.convert_to_numpy(layer.bias)
            if layer.use_bias
            else np.zeros(self.kernel.shape[1], self.kernel.dtype)
        )
        self.after: list[Any] = []

    def splits(self) -> bool:
        """Whether neurons can be taken away: nothing up to the next layer mixes them."""
        activations = [self.layer, *(x for x in self.after if isinstance(x, layers.Activation))]
        return all(_name(layer) in _ELEMENTWISE for layer in activations) and not any(
            isinstance(layer, layers.Softmax) for layer in self.after
        )

    def constants(self) -> Any:
        """Return what the neurons put out if nothing reaches them."""
        x = self.layer.activation(ops.convert_to_tensor(self.bias[None]))
        for layer in self.after:
            x = layer(x, training=False) if isinstance(layer, _INACTIVE_LAYERS) else layer(x)
        return ops.convert_to_numpy(x)[0]

    def rebuilt(self) -> Any:
        use_bias = self.layer.use_bias or bool(np.any(self.bias))
        config = {**self.layer.get_config(), "units": len(self.bias), "use_bias": use_bias}
        new = type(self.layer).from_config(config)
        new.build((None, len(self.kernel)))
        new.set_weights([self.kernel, self.bias] if use_bias else [self.kernel])
        return new


def prune(model: Any) -> Any:
    """Make a smaller model with the same outputs, without what its zeros make superfluous.

    Taken away are neurons that no input reaches (what they put out is constant, and added to the
    next bias), neurons that no later one reads, and inputs that no neuron reads. The new model
    takes the same data: if it does not read all inputs, its first layer is one that selects.

    Parameters
    ----------
    model : keras.Model
        Built, a chain of Dense layers, with elementwise activations, dropout and, in front,
        Flatten or Reshape; trained with `l1` or `l21`, for example. It is not changed.

    Returns
    -------
    keras.Sequential
        Not compiled. The outputs differ from those of model by rounding only. Of each layer at
        least one neuron is kept.

    Raises
    ------
    TypeError
        If model is none.
    ValueError
        If it is not built, or something other than such a chain.

    Examples
    --------
    >>> small = fastreg.keras.prune(model)  # doctest: +SKIP
    >>> small.count_params(), model.count_params()  # doctest: +SKIP
    (1210, 50890)
    """
    front, dense = _chain(model)
    inputs = _drop_unread(dense)
    _drop_unreached(dense)
    new = [_copied(layer) for layer in front]
    if len(inputs) < dense[0].layer.kernel.shape[0]:
        new.append(SelectFeatures(inputs))
    for part in dense:
        new += [part.rebuilt(), *(_copied(layer) for layer in part.after)]
    shape = model.input_shape
    return keras.Sequential([keras.Input(shape[1:], dtype=model.inputs[0].dtype), *new])


def _chain(model: Any) -> tuple[list[Any], list[_Dense]]:
    """Return the layers before the first Dense layer, and the Dense layers."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError("model has no weights yet: build it, or call it on data, first")
    front: list[Any] = []
    dense: list[_Dense] = []
    for layer in _in_order(model):
        if type(layer) is layers.Dense:
            dense.append(_Dense(layer))
        elif not dense and isinstance(layer, _SHAPE_LAYERS):
            front.append(layer)
        elif isinstance(layer, _KNOWN_LAYERS):
            (dense[-1].after if dense else front).append(layer)
        elif dense and isinstance(layer, layers.Flatten) and len(layer.input.shape) == 2:
            continue
        else:
            raise ValueError(
                f"layer {layer.name!r} is a {type(layer).__name__}; models of Dense layers, "
                "activations and dropout can be pruned"
            )
    if not dense:
        raise ValueError("model has no Dense layer")
    return front, dense


def _in_order(model: Any) -> list[Any]:
    """Return the layers of a chain, without its input."""
    if isinstance(model, keras.Sequential):
        return list(model.layers)
    operations = getattr(model, "operations", None)
    if operations is None or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("model must be Sequential, or a chain of layers with one input and output")
    chain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    tensor = model.inputs[0]
    for layer in chain:
        if len(layer._inbound_nodes) != 1 or layer.input is not tensor:
            raise ValueError(f"layer {layer.name!r} is not the next in a chain of layers")
        tensor = layer.output
    if tensor is not model.outputs[0]:
        raise ValueError("the output of model is not that of its last layer")
    return chain


def _drop_unread(dense: list[_Dense]) -> Any:
    """Take away, from the last layer to the first, what is not read; return the inputs kept."""
    kept: Any = None
    for k in range(len(dense) - 1, -1, -1):
        part = dense[k]
        if kept is not None and part.splits():
            part.kernel, part.bias = part.kernel[:, kept], part.bias[kept]
            dense[k + 1].kernel = dense[k + 1].kernel[kept]
        kept = _at_least_one(np.any(part.kernel != 0.0, axis=1))
    dense[0].kernel = dense[0].kernel[kept]
    return kept


def _drop_unreached(dense: list[_Dense]) -> None:
    """Take away, from the first layer to the last, what is constant."""
    for part, following in pairwise(dense):
        reached = np.any(part.kernel != 0.0, axis=0)
        if reached.all() or not part.splits():
            continue
        kept = _at_least_one(reached)
        constants = np.where(np.isin(np.arange(len(reached)), kept), 0.0, part.constants())
        following.bias = following.bias + (constants @ following.kernel).astype(
            following.bias.dtype
        )
        part.kernel, part.bias = part.kernel[:, kept], part.bias[kept]
        following.kernel = following.kernel[kept]


def _at_least_one(mask: Any) -> Any:
    kept = np.flatnonzero(mask)
    return kept if len(kept) else np.array([0])


def _copied(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _name(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", ""))
