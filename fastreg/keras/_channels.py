"""Which channels of a model are read, which are constant, and which have to stay."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

KERNEL_LAYERS = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)

# Those that work on each number by itself.
_ELEMENTWISE = [
    getattr(keras.activations, name)
    for name in (
        "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
        "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu",
        "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "squareplus", "tanh",
        "tanh_shrink", "threshold",
    )
]  # fmt: skip
_ELEMENTWISE_LAYERS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
# Those that leave a constant as it is, because they do nothing when a model predicts, or put
# together numbers of one channel.
_SAME_LAYERS = (
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout,
    layers.ActivityRegularization,
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D,
)  # fmt: skip
# Those that may put zeros beside it.
_PADDING_LAYERS = (
    layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D,
)  # fmt: skip

_FIXED = 0  # the channel of all numbers that have to stay


class Signal(NamedTuple):
    """What is known of the numbers along the last axis of a tensor."""

    channels: NDArray[np.intp]  # whose output each of them is
    constants: NDArray[np.float64]  # what it is, whatever the data; NaN where that is not so
    raw: bool  # whether it is made of the data without weights that can be taken away


@dataclass
class Kernel:
    """A layer ``activation(x W + b)``, with what is left of it."""

    layer: Any
    weights: NDArray[Any]  # (places, inputs, neurons)
    bias: NDArray[Any]
    inputs: Signal
    neurons: NDArray[np.intp]  # their channels
    reader: str = ""  # what reads the neurons and is not understood, so that all have to stay
    inputs_kept: Any = None
    neurons_kept: Any = None

    def rest(self) -> list[NDArray[Any]]:
        """Return weights and bias, with what the inputs that are taken away amount to added."""
        gone = np.where(self.inputs_kept, 0.0, np.nan_to_num(self.inputs.constants))
        bias = self.bias + gone @ self.weights.sum(axis=0, dtype=float)
        kernel = self.weights[:, self.inputs_kept][:, :, self.neurons_kept]
        shape = *self.layer.kernel.shape[:-2], *kernel.shape[1:]
        bias = bias[self.neurons_kept].astype(kernel.dtype)
        return [kernel.reshape(shape), *([bias] if self.layer.use_bias or bias.any() else [])]


class Channels:
    """The channels of a functional model: one for each neuron.

    Going from the first layer to the last it is found out which are constant, and which are read by
    something that is not understood; then, from the last to the first, which of the others are
    read at all. Of each layer at least one stays.
    """

    def __init__(self, model: Any) -> None:
        self.kernels: dict[int, Kernel] = {}  # by id of the layer, as is all that follows
        self.norms: dict[int, NDArray[np.intp]] = {}  # channels of batch normalisations
        self.reshaped: dict[int, NDArray[np.intp]] = {}
        self._owner: list[Kernel | None] = [None]  # of each channel
        nodes = list(_nodes(model))
        self._calls = Counter(id(node.operation) for node in nodes)
        signals = {id(tensor): _fixed(tensor, raw=True) for tensor in model.inputs}
        for node in nodes:
            passed = self._passed(node, [signals[id(tensor)] for tensor in node.input_tensors])
            signals.update(zip(map(id, node.outputs), passed, strict=True))
        self.kept = np.array([kernel is None or bool(kernel.reader) for kernel in self._owner])
        for tensor in model.outputs:
            self.kept[signals[id(tensor)].channels] = True
        for kernel in reversed(self.kernels.values()):
            self._look_back(kernel)
        for kernel in self.kernels.values():
            if kernel.inputs_kept is None:
                kernel.inputs_kept = self.kept[kernel.inputs.channels]

    def _passed(self, node: Any, inputs: list[Signal]) -> list[Signal]:
        """Return what leaves a layer."""
        layer, signal = node.operation, None
        options = node.arguments.kwargs.values()
        if any(value is not None and value is not False for value in options):
            pass  # called with training=True, for instance
        elif len(inputs) == 1 and len(node.outputs) == 1:
            signal = self._through(layer, inputs[0], node.input_tensors[0], node.outputs[0])
        elif type(layer) is layers.Concatenate and layer.axis in _last(node.outputs[0]):
            signal = Signal(
                np.concatenate([x.channels for x in inputs]),
                np.concatenate([x.constants for x in inputs]),
                all(x.raw for x in inputs),
            )
        if signal is not None:
            return [signal]
        for channel in np.unique([i for x in inputs for i in x.channels]).tolist():
            owner = self._owner[channel]
            if owner is not None:
                owner.reader = f"{layer.name!r} ({type(layer).__name__})"
        return [_fixed(tensor, raw=all(x.raw for x in inputs)) for tensor in node.outputs]

    def _through(self, layer: Any, x: Signal, before: Any, after: Any) -> Signal | None:
        """Return what leaves a layer with one input, None if that is not understood."""
        kind, shape = type(layer), before.shape
        if len(shape) < 2 or getattr(layer, "data_format", None) == "channels_first":
            return None
        if kind in KERNEL_LAYERS:
            return self._through_kernel(layer, x)
        if kind is layers.BatchNormalization:
            return self._through_norm(layer, x, before)
        if kind in _SAME_LAYERS:
            return x
        if kind in _PADDING_LAYERS:
            return x._replace(constants=_zeros(x.constants))
        if kind in _ELEMENTWISE_LAYERS and is_elementwise(getattr(layer, "activation", None)):
            return x._replace(constants=_applied(layer.call, x.constants, len(shape)))
        if kind in (layers.Flatten, layers.Reshape) and None not in (*shape[1:], *after.shape[1:]):
            # Numbers stay in their order, with the channels of one place beside each other.
            places, rest = divmod(after.shape[-1], shape[-1])
            if rest == 0 and (places == 1 or len(after.shape) == 2) and self._is_own(layer, 0):
                x = Signal(np.tile(x.channels, places), np.tile(x.constants, places), x.raw)
                if kind is layers.Reshape:
                    self.reshaped[id(layer)] = x.channels
                return x
        return None

    def _is_own(self, layer: Any, n_weights: int) -> bool:
        """Whether a layer is called once, and has the weights that it should have."""
        return self._calls[id(layer)] == 1 and len(layer.weights) == n_weights

    def _through_norm(self, layer: Any, x: Signal, before: Any) -> Signal | None:
        if layer.axis not in _last(before) or not self._is_own(
            layer, 2 + layer.scale + layer.center
        ):
            return None
        self.norms[id(layer)] = x.channels
        constants = x.constants
        if layer.scale:
            constants = np.where(ops.convert_to_numpy(layer.gamma) == 0.0, 0.0, constants)
        return x._replace(constants=_applied(layer.call, constants, len(before.shape)))

    def _through_kernel(self, layer: Any, x: Signal) -> Signal | None:
        if getattr(layer, "groups", 1) != 1 or not self._is_own(layer, 1 + layer.use_bias):
            return None
        weights = ops.convert_to_numpy(layer.kernel)
        weights = weights.reshape(-1, *weights.shape[-2:])
        n_neurons = weights.shape[2]
        bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(n_neurons)
        if getattr(layer, "padding", "valid") != "valid":
            x = x._replace(constants=_zeros(x.constants))
        sums = bias + np.nan_to_num(x.constants) @ weights.sum(axis=0, dtype=float)
        sums[np.any(weights[:, np.isnan(x.constants)] != 0.0, axis=(0, 1))] = np.nan
        kernel = Kernel(layer, weights, bias, x, len(self._owner) + np.arange(n_neurons))
        self.kernels[id(layer)] = kernel
        self._owner += [kernel] * n_neurons
        if is_elementwise(layer.activation):
            return Signal(kernel.neurons, _applied(layer.activation, sums, 2), False)
        kernel.reader = "its activation"
        return Signal(np.full(n_neurons, _FIXED), np.full(n_neurons, np.nan), False)

    def _look_back(self, kernel: Kernel) -> None:
        """Keep what a layer reads, after those behind it."""
        kept, x = self.kept, kernel.inputs
        if not kept[kernel.neurons].any():
            kept[kernel.neurons[0]] = True
        kernel.neurons_kept = kept[kernel.neurons]
        read = np.any(kernel.weights[:, :, kernel.neurons_kept] != 0.0, axis=(0, 2))
        if x.raw:
            read[0] |= not read.any()
            kernel.inputs_kept = read
        kept[x.channels[read & np.isnan(x.constants)]] = True


def check_built(model: Any) -> None:
    """Raise an error if a model is none, or has no weights."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError("model has no weights yet: build it, or call it on data, first")


def is_functional(model: Any) -> bool:
    """Whether the layers of a model are known, and how they are connected."""
    if isinstance(model, keras.Sequential):
        return bool(model.built and model.inputs)
    return hasattr(model, "_nodes_by_depth")


def graph_of(model: Any) -> Any:
    """Return the same functional model, which is no chain and is not compiled."""
    is_chain = isinstance(model, keras.Sequential)
    ends = (model.inputs[0], model.outputs[0]) if is_chain else (model.input, model.output)
    return keras.Model(*ends, name=model.name)


def is_elementwise(activation: Any) -> bool:
    """Whether an activation, of a layer that may have none, works on each number by itself."""
    return activation is None or any(activation is known for known in _ELEMENTWISE)


def _nodes(model: Any) -> Iterator[Any]:
    """Yield the calls of layers in a functional model, from the first to the last."""
    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        yield from (node for node in nodes if not node.is_input)


def _last(tensor: Any) -> tuple[int, int]:
    """Return the last axis, counted from either end."""
    return -1, len(tensor.shape) - 1


def _fixed(tensor: Any, *, raw: bool) -> Signal:
    n = tensor.shape[-1] if len(tensor.shape) > 1 else None
    return Signal(np.full(n or 0, _FIXED), np.full(n or 0, np.nan), raw)


def _zeros(constants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the constants that are zero: others, with zeros beside them, are none."""
    return np.where(constants == 0.0, 0.0, np.nan)


def _applied(function: Any, constants: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """Return what becomes of constants, as the last axis of a tensor."""
    if np.isnan(constants).all():
        return constants
    x = np.nan_to_num(constants).reshape((1,) * (rank - 1) + (-1,))
    y = ops.convert_to_numpy(function(ops.convert_to_tensor(x, keras.config.floatx()))).ravel()
    return np.where(np.isnan(constants) | ~np.isfinite(y), np.nan, y.astype(float))
