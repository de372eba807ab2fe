"""What is zero in a trained model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from fastreg.keras._channels import KERNEL_LAYERS, Channels, check_built, graph_of, is_functional

if TYPE_CHECKING:
    from fastreg.plotting import SparsityDisplay


@dataclass(frozen=True)
class LayerSparsity:
    """The zeros of one kernel."""

    name: str
    n_weights: int
    n_zeros: int
    used: NDArray[np.bool_]  # (n_inputs, n_neurons): whether any weight between them is not zero
    pruned: tuple[int, int]  # how many inputs and neurons `prune` leaves
    reader: str  # why it leaves all neurons, or empty

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
        ``unused_inputs`` (indices), and ``used``, a matrix of inputs by neurons; ``pruned``, how
        many inputs and neurons `prune` leaves, and ``reader``, what keeps it from taking neurons.
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
        lines = [f"{'layer':{width}}  weights    zeros  dead neurons  unused inputs  after prune"]
        for layer in self.layers:
            n_inputs, n_neurons = layer.used.shape
            dead = f"{len(layer.dead_neurons)} of {n_neurons}"
            unused = f"{len(layer.unused_inputs)} of {n_inputs}"
            left = "{} x {}".format(*layer.pruned)
            lines.append(
                f"{layer.name:{width}}{layer.n_weights:9}{layer.zeros:9.1%}{dead:>14}{unused:>15}"
                f"{left:>13}"
            )
        lines += [
            f"prune leaves the dead neurons of {layer.name!r}, because of {layer.reader}"
            for layer in self.layers
            if layer.reader and len(layer.dead_neurons)
        ]
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
    check_built(model)
    found = tuple(_layers(model))
    if not found:
        raise ValueError("model has no Dense layer and no convolution")
    return SparsityReport(found)


def _layers(model: Any) -> Iterator[LayerSparsity]:
    kernels = Channels(graph_of(model)).kernels if is_functional(model) else {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif isinstance(layer, KERNEL_LAYERS) and getattr(layer, "groups", 1) == 1:
            yield _sparsity(layer, kernels.get(id(layer)))


def _sparsity(layer: Any, kernel: Any) -> LayerSparsity:
    weights = ops.convert_to_numpy(layer.kernel)
    nonzero = weights != 0.0
    used = nonzero.any(axis=tuple(range(weights.ndim - 2)))
    return LayerSparsity(
        name=layer.name,
        n_weights=weights.size,
        n_zeros=int(weights.size - np.count_nonzero(nonzero)),
        used=used,
        pruned=(int(kernel.inputs_kept.sum()), int(kernel.neurons_kept.sum()))
        if kernel
        else used.shape,
        reader=kernel.reader if kernel else "the model, or how the layer is used in it",
    )
