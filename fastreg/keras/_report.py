"""What is zero in a trained model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastreg.plotting import SparsityDisplay

_KERNEL_LAYERS = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)


@dataclass(frozen=True)
class LayerSparsity:
    """The zeros of one kernel."""

    name: str
    n_weights: int
    n_zeros: int
    used: NDArray[np.bool_]  # (n_inputs, n_neurons): whether any weight between them is not zero

    @property
    def dead_neurons(self) -> NDArray[np.intp]:
        """Neurons (channels) that no input reaches: their output is constant."""
        return np.flatnonzero(~self.used.any(axis=0))

    @property
    def unused_inputs(self) -> NDArray[np.intp]:
        """Inputs that reach no neuron."""
        return np.flatnonzero(~self.used.any(axis=1))

    @property
    def zeros(self) -> float:
        """The share of weights that are zero."""
        return self.n_zeros / self.n_weights


@dataclass(frozen=True)
class SparsityReport:
    """The zeros of the kernels of a model; printed, it is a table.

    Attributes
    ----------
    layers : tuple of LayerSparsity
        With ``name``, ``n_weights``, ``n_zeros``, ``zeros`` (their share), ``dead_neurons`` and
        ``unused_inputs`` (indices), and ``used``, a matrix of inputs by neurons.
    """

    layers: tuple[LayerSparsity, ...]

    @property
    def zeros(self) -> float:
        """The share of weights that are zero, in all of these layers."""
        return sum(layer.n_zeros for layer in self.layers) / sum(
            layer.n_weights for layer in self.layers
        )

    def plot(self, **plot_options: Any) -> "SparsityDisplay":
        """Draw which weights are zero; options and result as of `SparsityDisplay.from_result`."""
        from fastreg.plotting import SparsityDisplay

        return SparsityDisplay.from_result(self, **plot_options)

    def __str__(self) -> str:
        width = max(5, *(len(layer.name) for layer in self.layers))
        lines = [f"{'layer':{width}}  weights    zeros  dead neurons  unused inputs"]
        for layer in self.layers:
            n_inputs, n_neurons = layer.used.shape
            dead = f"{len(layer.dead_neurons)} of {n_neurons}"
            unused = f"{len(layer.unused_inputs)} of {n_inputs}"
            lines.append(
                f"{layer.name:{width}}{layer.n_weights:9}{layer.zeros:9.1%}{dead:>14}{unused:>15}"
            )
        return "\n".join(lines)


def sparsity_report(model: Any) -> SparsityReport:
    """Count the zeros of a model: of ``W`` in ``activation(x W + b)``, layer by layer.

    Parameters
    ----------
    model : keras.Model
        Built. Reported are its Dense layers and its convolutions (of one group, not transposed),
        those of models inside it included.

    Returns
    -------
    SparsityReport

    Raises
    ------
    TypeError
        If model is none.
    ValueError
        If it is not built, or has no such layer.

    Examples
    --------
    >>> print(fastreg.keras.sparsity_report(model))  # doctest: +SKIP
    >>> fastreg.keras.sparsity_report(model).plot().save("zeros.png")  # doctest: +SKIP
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError("model has no weights yet: build it, or call it on data, first")
    found = tuple(_sparsity(layer) for layer in _kernel_layers(model))
    if not found:
        raise ValueError("model has no Dense layer and no convolution")
    return SparsityReport(found)


def _kernel_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _kernel_layers(layer)
        elif isinstance(layer, _KERNEL_LAYERS) and getattr(layer, "groups", 1) == 1:
            yield layer


def _sparsity(layer: Any) -> LayerSparsity:
    kernel = ops.convert_to_numpy(layer.kernel)
    nonzero = kernel != 0.0
    return LayerSparsity(
        name=layer.name,
        n_weights=kernel.size,
        n_zeros=int(kernel.size - np.count_nonzero(nonzero)),
        used=nonzero.any(axis=tuple(range(kernel.ndim - 2))),
    )
