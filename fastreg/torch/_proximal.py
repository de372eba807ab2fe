"""A hook that ends the step of an optimizer with a proximal one."""

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import torch

from fastreg.proximal import penalty as _penalty_of
from fastreg.torch._steps import count_momentum, keeps_step_size, prepare, shrink, step_size

_DEFAULTS: dict[str, Any] = {"l1": 0.0, "l2": 0.0, "group": None}
_AXES = {"outputs": 0, "inputs": 1}
_ATTACHED = "_fastreg_proximal"
_BEFORE = "_fastreg_before"


def Proximal(  # noqa: N802 - stands where optimizers stand
    optimizer: torch.optim.Optimizer,
    penalties: Mapping[Any, Any] | None = None,
) -> torch.optim.Optimizer:
    """Make ``optimizer.step()`` end with the proximal step of ``l1 |w| + l2/2 |w|^2``.

    The loss that is differentiated must not contain the penalty; to report their sum, add
    `penalty`.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its parameter groups may have the keys ``l1``, ``l2`` (floats, 0 by default) and ``group``
        (None by default), which can be changed while training, as ``lr`` can. With a group, ``|w|``
        is not the sum of absolute values, but that of the Euclidean norms of slices, each of which
        is kept or zero as a whole: ``"inputs"`` (dimension 1 of the weight of a linear or
        convolutional layer), ``"outputs"`` (dimension 0: neurons, channels), or a dimension.
    penalties : mapping, optional
        From modules or parameters to such keys: ``{model[0]: {"l1": 1e-3}}``. A module stands for
        its parameters of two and more dimensions, so not for biases. Groups are split as needed.

    Returns
    -------
    torch.optim.Optimizer
        The same object: schedulers, closures, state_dict, gradient scalers, fused and compiled
        steps see nothing new. Its step() now does both, through a step hook.

    Raises
    ------
    TypeError
        If optimizer is none, or penalties or their values are of the wrong kind; at a step, if a
        gradient is sparse.
    ValueError
        If a penalty is negative or not finite, a parameter is not in the optimizer, or complex, a
        group is no dimension of it; if it has a proximal step already; if groups have to be split
        after a learning-rate scheduler was made.

    Notes
    -----
    The table at the head of `fastreg.torch` says which step size is used, and what is minimised.
    Tensors stay on their device. A copy or an unpickled optimizer has lost its hooks, as always in
    PyTorch: call `Proximal` on it again. State dicts hold the penalties with the other options of
    the groups; where one is loaded that has none, those given here are kept.

    In a processor's memory the step is one compiled loop over weights and averages, on as many
    threads as PyTorch has: about a tenth of a training step of Adam as it is by default, and less
    of one on many rows. ``fused=True`` makes Adam itself several times as fast there.

    Examples
    --------
    >>> import torch
    >>> from fastreg.torch import Proximal
    >>> from torch.nn import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(784, 64), ReLU(), Linear(64, 10))
    >>> optimizer = Proximal(torch.optim.Adam(model.parameters()), {model[0]: {"l1": 1e-3}})
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}"
        )
    if getattr(optimizer, _ATTACHED, False):
        raise ValueError(
            "optimizer has a proximal step already; set l1, l2 and group in its groups"
        )
    _set_penalties(optimizer, {} if penalties is None else penalties)
    for group in optimizer.param_groups:
        _check(group)
        if _is_penalised(group):
            for w in group["params"]:
                _check_parameter(w, group, _terms(group)["axis"])
    prepare(optimizer)
    optimizer.register_step_pre_hook(_before_step)
    optimizer.register_step_post_hook(_after_step)
    optimizer.register_load_state_dict_pre_hook(_before_load)
    optimizer.register_load_state_dict_post_hook(prepare)
    setattr(optimizer, _ATTACHED, True)
    return optimizer


def penalty(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Return ``l1 |w| + l2/2 |w|^2``, summed over the groups of an optimizer; for reports.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        With the keys of `Proximal` in its groups.

    Returns
    -------
    torch.Tensor
        A number without gradient, on the device of the parameters.
    """
    values = [torch.zeros(())]
    with torch.no_grad():
        for group in optimizer.param_groups:
            for w in group["params"] if _is_penalised(group) else ():
                values.append(torch.as_tensor(_penalty_of(torch, w, **_terms(group))))
    device = values[-1].device
    return torch.stack([value.to(device) for value in values]).sum()


def _set_penalties(optimizer: torch.optim.Optimizer, penalties: Mapping[Any, Any]) -> None:
    """Write penalties into the groups, splitting those whose parameters differ."""
    if not isinstance(penalties, Mapping):
        raise TypeError(
            "penalties must map modules or parameters to {'l1': ..., 'l2': ..., 'group': ...}, "
            f"got {type(penalties).__name__}"
        )
    wanted: dict[torch.Tensor, dict[str, Any]] = {}
    for key, terms in penalties.items():
        if not isinstance(terms, Mapping) or not set(terms) <= set(_DEFAULTS):
            raise TypeError(f"a penalty must have the keys 'l1', 'l2', 'group', got {terms!r}")
        for w in _parameters(key):
            wanted[w] = dict(terms)
    missing = wanted.keys() - {w for group in optimizer.param_groups for w in group["params"]}
    if missing:
        raise ValueError(f"penalties has {len(missing)} parameters that are not in the optimizer")
    for group in list(optimizer.param_groups) if wanted else ():
        _split(optimizer, group, wanted)


def _parameters(key: Any) -> Iterable[torch.Tensor]:
    if isinstance(key, torch.Tensor):
        return [key]
    if isinstance(key, torch.nn.Module):
        found = [w for w in key.parameters() if w.ndim > 1]
        if not found:
            raise ValueError(f"{type(key).__name__} has no parameter of two or more dimensions")
        return found
    raise TypeError(f"penalties must be for modules or parameters, got {type(key).__name__}")


def _split(
    optimizer: torch.optim.Optimizer,
    group: dict[str, Any],
    wanted: Mapping[torch.Tensor, dict[str, Any]],
) -> None:
    """Make a group of each set of parameters with one penalty; the first takes the old place."""
    kinds: list[dict[str, Any]] = []
    members: list[list[int]] = []
    for i, w in enumerate(group["params"]):
        terms = wanted.get(w, {})
        if terms not in kinds:
            kinds.append(terms)
            members.append([])
        members[kinds.index(terms)].append(i)
    if len(kinds) > 1 and "initial_lr" in group:
        raise ValueError("make the learning-rate scheduler after Proximal has split the groups")
    whole = dict(group)
    for k, (terms, indices) in enumerate(zip(kinds, members, strict=True)):
        part = {
            key: [whole[key][i] for i in indices]
            for key in ("params", "param_names")
            if key in whole
        }
        if k == 0:
            group.update(part | terms)
            continue
        names = part.pop("param_names", None)
        if names is not None:
            part["params"] = list(zip(names, part["params"], strict=True))
        options = {key: value for key, value in whole.items() if key != "param_names"}
        optimizer.add_param_group(options | part | terms)


def _check(group: dict[str, Any]) -> None:
    for key, default in _DEFAULTS.items():
        group.setdefault(key, default)
    for key in ("l1", "l2"):
        value = group[key]
        if type(value) is not float:  # a number of NumPy could not be saved in a state dict
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{key} must be a number, got {value!r}")
            value = group[key] = float(value)
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{key} must be zero or positive, and finite, got {value}")
    axis = group["group"]
    if axis is not None and axis not in _AXES and type(axis) is not int:
        raise ValueError(f"group must be None, 'inputs', 'outputs' or a dimension, got {axis!r}")


def _check_parameter(w: torch.Tensor, group: Mapping[str, Any], axis: int | None) -> None:
    if w.is_complex():
        raise ValueError("complex parameters cannot be penalised")
    if axis is not None and not -w.ndim <= axis < w.ndim:
        raise ValueError(
            f"group {group['group']!r} is dimension {axis}, which a parameter of shape "
            f"{tuple(w.shape)} does not have"
        )


def _is_penalised(group: Mapping[str, Any]) -> bool:
    return bool(group.get("l1") or group.get("l2"))


def _terms(group: Mapping[str, Any]) -> dict[str, Any]:
    axis = group.get("group")
    return {
        "l1": group.get("l1", 0.0),
        "l2": group.get("l2", 0.0),
        "axis": _AXES[axis] if isinstance(axis, str) else axis,
    }


def _before_load(
    optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]
) -> dict[str, Any] | None:
    """Keep the penalties where the state to be loaded has none."""
    saved = state_dict["param_groups"]
    if len(saved) != len(optimizer.param_groups):
        return None  # which PyTorch will say
    groups = [
        {key: own.get(key, default) for key, default in _DEFAULTS.items()} | other
        for own, other in zip(optimizer.param_groups, saved, strict=True)
    ]
    return {**state_dict, "param_groups": groups}


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    for group in optimizer.param_groups:
        _check(group)  # it may be new, or changed
    prepare(optimizer)
    penalised = [
        w for group in optimizer.param_groups if _is_penalised(group) for w in group["params"]
    ]
    _refuse_sparse(penalised)
    if not keeps_step_size(optimizer):
        setattr(optimizer, _BEFORE, {w: w.detach().clone() for w in penalised})


def _refuse_sparse(parameters: Iterable[torch.Tensor]) -> None:
    if any(w.grad is not None and w.grad.is_sparse for w in parameters):
        raise TypeError("a parameter with sparse gradients cannot be penalised")


@torch.no_grad()
def _after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    # Set by a gradient scaler around a fused step, which then does nothing where it is 1.
    skipped = getattr(optimizer, "found_inf", None)
    before = optimizer.__dict__.pop(_BEFORE, {})
    count_momentum(optimizer, skipped)
    for group in optimizer.param_groups:
        if not _is_penalised(group):
            continue
        _refuse_sparse(group["params"])  # of a closure
        terms = _terms(group)
        for w in group["params"]:
            if w.grad is None:
                continue
            _check_parameter(w, group, terms["axis"])
            lr, scale = step_size(optimizer, group, w, before.get(w))
            if skipped is not None:
                lr = lr * (1.0 - skipped.to(w.device))
            shrink(w, lr, scale, **terms)
