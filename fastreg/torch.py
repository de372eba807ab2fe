"""L1, L2 and group penalties for PyTorch optimizers, by proximal steps: zeros are exact.

After a step of an optimizer on the loss, with the weights at z, the penalised ones are set to

    argmin over w of  sum_i (w_i - z_i)^2 / (2 s_i) + l1 |w| + l2/2 |w|^2

where s is the step size that the optimizer used: what it multiplies a gradient with. For l1 this is
soft-thresholding: a weight within ``s_i l1`` of zero becomes exactly zero.

Only with that s does training stop where ``loss + l1 |w| + l2/2 |w|^2`` has its minimum. At rest a
weight is moved by ``-s_i g_i`` (g is the gradient of the loss, on average) and back by the proximal
step, which is possible only if -g is a subgradient of the penalty, whatever s > 0 is.

=====================  =========================================================================
optimizer              s
=====================  =========================================================================
SGD                    ``lr``
SGD with momentum      ``lr`` times the sum of the weights with which the buffer has added up
                       gradients so far: with momentum 0.9 it grows from ``lr`` to ``10 lr``
Adam, AdamW, NAdam     ``lr / (sqrt(v) + eps)``, v being the (corrected) average of squared
                       gradients: small steps and small thresholds where gradients are large;
                       RAdam the same, rectified as its steps are
Adamax                 ``lr / u``, u being the largest gradient of late
RMSprop, Adagrad,      ``lr`` over the root that they divide gradients by; RMSprop's momentum
Adadelta               as that of SGD
all others             ``lr``. Zeros are exact, but training does not stop where loss + penalty
                       has its minimum: the penalty acts on the weights by itself, as weight
                       decay does in AdamW
=====================  =========================================================================

L2 and weight decay. Under SGD a gradient step on ``loss + l2/2 |w|^2`` multiplies weights by
``1 - lr l2``, which is weight decay; the proximal step divides by ``1 + lr l2``, the same to first
order, and never overshoots. ``weight_decay`` of Adam adds ``l2 w`` to the gradient, which then
counts in v, too: weights with large gradients decay less. It stops at the minimum of the same sum
as `l2` here. ``weight_decay`` of AdamW shrinks all weights by the same share, whatever their
gradients: good in practice, but not the minimum of any fixed loss + penalty, and so not the same.

References: Yun, Lozano, Yang (2021), "Adaptive proximal gradient methods for structured neural
networks"; Parikh, Boyd (2014), "Proximal algorithms".
"""

import math
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

if find_spec("torch") is None:
    raise ImportError("fastreg.torch needs PyTorch: pip install 'fastreg-solvers[torch]' brings it")

import torch

from fastreg._core.shrink import proximal_step
from fastreg.proximal import Root, prox
from fastreg.proximal import penalty as _penalty_of

__all__ = ["Proximal", "penalty"]

_DEFAULTS: dict[str, Any] = {"l1": 0.0, "l2": 0.0, "group": None}
_AXES = {"outputs": 0, "inputs": 1}
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_ATTACHED = "_fastreg_proximal"
_WEIGHT_SUM = "gradient_weight_sum"  # in the optimizer's state, beside the momentum buffer


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
        for key, value in _DEFAULTS.items():
            group.setdefault(key, value)
        _check(group)
        for w in group["params"] if _is_penalised(group) else ():
            _check_parameter(w, group, _terms(group)["axis"])
    _prepare(optimizer)
    optimizer.register_step_post_hook(_after_step)
    optimizer.register_load_state_dict_pre_hook(_before_load)
    optimizer.register_load_state_dict_post_hook(_prepare)
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


def _check(group: Mapping[str, Any]) -> None:
    for key in ("l1", "l2"):
        value = group[key]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{key} must be a number, got {value!r}")
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
        {key: own[key] for key in _DEFAULTS} | other
        for own, other in zip(optimizer.param_groups, saved, strict=True)
    ]
    return {**state_dict, "param_groups": groups}


@torch.no_grad()
def _after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    # Set by a gradient scaler around a fused step, which then does nothing where it is 1.
    skipped = getattr(optimizer, "found_inf", None)
    for group in optimizer.param_groups:
        if not _is_penalised(group):
            continue
        _check(group)
        terms = _terms(group)
        for w in group["params"]:
            if w.grad is None:
                continue
            if w.grad.is_sparse:
                raise TypeError("a parameter with sparse gradients cannot be penalised")
            _check_parameter(w, group, terms["axis"])
            lr, scale = _step_size(optimizer, group, optimizer.state[w])
            if skipped is not None:
                lr = lr * (1.0 - skipped.to(w.device))
            take_step(w, lr, scale, **terms)


@torch.no_grad()
def take_step(
    w: torch.Tensor, lr: Any, scale: Any, *, l1: float, l2: float, axis: int | None = None
) -> None:
    """Do what `fastreg.proximal.prox` does, in place."""
    if isinstance(lr, torch.Tensor) and _in_memory(w, lr):
        lr = lr.item()
    whole = axis is None and not isinstance(lr, torch.Tensor)
    if whole and isinstance(scale, Root) and _in_memory(w, scale.square):
        proximal_step(_flat(w), _flat(scale.square), float(scale.add), float(lr), l1, l2)
        return
    if whole and not isinstance(scale, torch.Tensor | Root):
        if l1 > 0.0:
            torch.ops.aten.softshrink.out(w, lr * l1 / scale, out=w)
        w.mul_(scale / (scale + lr * l2))
    else:
        w.copy_(prox(torch, w, lr, scale, l1=l1, l2=l2, axis=axis))


def _in_memory(*tensors: torch.Tensor) -> bool:
    """Whether compiled loops over numbers in memory can read these tensors."""
    dtype = tensors[0].dtype
    if torch.compiler.is_compiling() or dtype not in (torch.float32, torch.float64):
        return False
    return all(
        x.is_cpu and x.dtype == dtype and x.is_contiguous() and type(x) in _PLAIN for x in tensors
    )


def _flat(x: torch.Tensor) -> Any:
    return x.detach().view(-1).numpy()


def _step_size(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], state: dict[str, Any]
) -> tuple[Any, Any]:
    """Return what the optimizer multiplied an (average) gradient with in the step just done.

    A pair: the quotient of a number, and of a number, tensor or `Root`.
    """
    optim, lr = torch.optim, group["lr"]
    match optimizer:
        case optim.SGD():
            return lr * _momentum_factor(group, state), 1.0
        case optim.Adam() | optim.AdamW() | optim.NAdam():
            v = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
            known = (1.0 - group["betas"][1] ** _count(state, v)) ** 0.5
            return lr * known, Root(v, known * group["eps"])
        case optim.RAdam():
            return _rectified(group, state)
        case optim.Adamax():
            return lr, state["exp_inf"]
        case optim.RMSprop():
            v = state["square_avg"]
            if group["centered"]:
                v = v - state["grad_avg"] ** 2
            momentum = group["momentum"]
            if momentum != 0.0:
                lr = lr * (1.0 - momentum ** _count(state, v)) / (1.0 - momentum)
            return lr, Root(v, group["eps"])
        case optim.Adagrad():
            lr = lr / (1.0 + (_count(state, state["sum"]) - 1.0) * group["lr_decay"])
            return lr, Root(state["sum"], group["eps"])
        case optim.Adadelta():
            eps = group["eps"]
            return lr, ((state["square_avg"] + eps) / (state["acc_delta"] + eps)).sqrt_()
        case _:
            return lr, 1.0


def _count(state: dict[str, Any], like: torch.Tensor) -> Any:
    """Return the number of steps: as a number, where that needs no other device."""
    count: torch.Tensor = state["step"]
    if count.device.type == "cpu" and not torch.compiler.is_compiling():
        return count.item()
    return count.to(like.device)


def _rectified(group: Mapping[str, Any], state: dict[str, Any]) -> tuple[Any, Any]:
    """Return RAdam's step: lr at first, then that of Adam, rectified."""
    v, beta, lr = state["exp_avg_sq"], group["betas"][1], group["lr"]
    count = state["step"].to(v.device)
    known = 1.0 - beta**count
    limit = 2.0 / (1.0 - beta) - 1.0
    length = limit - 2.0 * count * (1.0 - known) / known
    share = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length)
    factor, scale = (share * known).clamp_min(0.0).sqrt(), v.sqrt().add_(group["eps"])
    late = length > 5.0
    return lr * torch.where(late, factor, 1.0), torch.where(late, scale, 1.0)


def _momentum_factor(group: Mapping[str, Any], state: dict[str, Any]) -> Any:
    """Return what the buffer of SGD would hold if every gradient had been 1, and keep count."""
    momentum, damped = group["momentum"], 1.0 - group["dampening"]
    if momentum == 0.0:
        return 1.0
    total = state[_WEIGHT_SUM]
    # The first gradient enters the buffer undamped.
    total.copy_(torch.where(total == 0.0, 1.0, momentum * total + damped))
    return 1.0 + momentum * total if group["nesterov"] else total


def _prepare(optimizer: torch.optim.Optimizer) -> None:
    """Put into the state of SGD what `_momentum_factor` counts, where it is not there."""
    for group in optimizer.param_groups if isinstance(optimizer, torch.optim.SGD) else ():
        for w in group["params"] if group["momentum"] != 0.0 else ():
            state = optimizer.state[w]
            if _WEIGHT_SUM not in state:
                # A buffer that is there is taken to be an old one.
                old = state.get("momentum_buffer") is not None
                total = (1.0 - group["dampening"]) / (1.0 - group["momentum"]) if old else 0.0
                state[_WEIGHT_SUM] = torch.full((), total, dtype=w.dtype, device=w.device)
