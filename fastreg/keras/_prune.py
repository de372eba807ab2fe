"""A smaller model from the zeros of a trained one."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fastreg.keras._channels import Channels, check_built, graph_of, is_functional


@keras.saving.register_keras_serializable("fastreg")
class SelectFeatures(layers.Layer):
    """``x[..., indices]``: what the first layers of a pruned model read.

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


def prune(model: Any) -> Any:
    """Make a smaller model with the same outputs, without what its zeros make superfluous.

    Taken away are neurons (channels of convolutions) that no input reaches, that nothing reads, or
    that batch normalisation multiplies by zero, and inputs that nothing reads. What a neuron puts
    out that nothing reaches is constant, and added to the next bias. The new model takes the same
    data: in front of layers that do not read all of it stands one that selects.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, and built; trained with `l1` or `l21`, for example. It is not
        changed.

    Returns
    -------
    keras.Model
        Not compiled; Sequential if model is. The outputs differ from those of model by rounding
        only. Of each layer at least one neuron is kept.

    Raises
    ------
    TypeError
        If model is none.
    ValueError
        If it is not built, or neither Sequential nor functional.

    Notes
    -----
    Dense, Conv1D, Conv2D and Conv3D become smaller, with what follows them: BatchNormalization,
    elementwise activations, dropout and noise, pooling, Flatten, Reshape, Concatenate of channels,
    and some more. All other layers are copied as they are, and so are the neurons that they read:
    where an Add joins two branches, say, or where a layer is called twice. Models inside the model
    are pruned by themselves. `sparsity_report` says which neurons are left, and why.

    Examples
    --------
    >>> small = fastreg.keras.prune(model)  # doctest: +SKIP
    >>> small.count_params(), model.count_params()  # doctest: +SKIP
    (1210, 50890)
    """
    check_built(model)
    if not is_functional(model):
        raise ValueError("model must be Sequential or functional: of others the layers are unknown")
    graph = graph_of(model)
    smaller = _Smaller(Channels(graph))
    if isinstance(model, keras.Sequential):
        (x,) = model.inputs
        # The batch that a model was built on by fit binds nobody but layers that remember.
        stateful = any(getattr(layer, "stateful", False) for layer in model.layers)
        shape = (x.shape[0] if stateful else None, *x.shape[1:])
        chain = [keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name)]
        for layer in model.layers:
            chain += smaller.chain(smaller.layer(layer))
        new = keras.Sequential(chain, name=model.name)
    else:
        new = keras.models.clone_model(
            graph, clone_function=smaller.layer, call_function=smaller.call
        )
    smaller.set_weights()
    return new


class _Smaller:
    """Makes the layers of the smaller model."""

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.select: dict[int, Any] = {}  # what stands in front of a new layer
        self.weights: list[tuple[Any, list[Any]]] = []
        self.made: dict[int, Any] = {}

    def layer(self, old: Any) -> Any:
        """Return the new layer of an old one."""
        if not isinstance(old, layers.Layer):
            return old  # an operation of keras.ops, without weights
        if id(old) not in self.made:
            self.made[id(old)] = self._made(old)
        return self.made[id(old)]

    def _made(self, old: Any) -> Any:
        if isinstance(old, keras.Model) and is_functional(old):
            return prune(old)
        config, weights = old.get_config(), old.get_weights()
        kernel = self.channels.kernels.get(id(old))
        if kernel is not None:
            weights = kernel.rest()
            config["filters" if "filters" in config else "units"] = weights[0].shape[-1]
            config["use_bias"] = len(weights) > 1
        elif id(old) in self.channels.norms:
            kept = self.channels.kept[self.channels.norms[id(old)]]
            weights = [weight[kept] for weight in weights]
        elif id(old) in self.channels.reshaped:
            kept = self.channels.kept[self.channels.reshaped[id(old)]]
            config["target_shape"] = (*config["target_shape"][:-1], int(kept.sum()))
        new = type(old).from_config(config)
        self.weights.append((new, weights))
        if kernel is not None and kernel.inputs.raw and not kernel.inputs_kept.all():
            self.select[id(new)] = SelectFeatures(np.flatnonzero(kernel.inputs_kept).tolist())
        return new

    def chain(self, new: Any) -> list[Any]:
        """Return a layer, after the one that selects what it reads."""
        return [self.select[id(new)], new] if id(new) in self.select else [new]

    def call(self, new: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a layer on what it reads."""
        if id(new) in self.select:
            args = (self.select[id(new)](args[0]), *args[1:])
        return new(*args, **kwargs)

    def set_weights(self) -> None:
        """Give the layers of the new model, which is built now, their weights."""
        for new, weights in self.weights:
            new.set_weights(weights)
