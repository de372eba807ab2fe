"""The step sizes of PyTorch's optimizers, and the proximal step in place."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from fastreg._core.shrink import group_step, proximal_step
from fastreg.proximal import Root, prox

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_WEIGHT_SUM = "gradient_weight_sum"  # in the optimizer's state, beside the momentum buffer


def keeps_step_size(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step_size` can be told from the optimizer's state."""
    optim = torch.optim
    return isinstance(
        optimizer,
        optim.SGD
        | optim.Adam
        | optim.AdamW
        | optim.NAdam
        | optim.RAdam
        | optim.Adamax
        | optim.RMSprop
        | optim.Adagrad
        | optim.Adadelta,
    )


def shrink(
    w: torch.Tensor, lr: Any, scale: Any, *, l1: float, l2: float, axis: int | None = None
) -> None:
    """Do what `fastreg.proximal.prox` does, in place."""
    square, add = scale if isinstance(scale, Root) else (None, scale)
    if torch.compiler.is_compiling() or not (
        _in_memory(w, w)
        and (square is None or _in_memory(square, w))
        and _is_number(lr)
        and _is_number(add)
    ):
        w.copy_(prox(torch, w, lr, scale, l1=l1, l2=l2, axis=axis))
        return
    shape: tuple[int, ...] = (-1,)
    if axis is not None and l1 > 0.0:
        axis %= w.ndim
        shape = (math.prod(w.shape[:axis]), w.shape[axis], math.prod(w.shape[axis + 1 :]))
    (proximal_step if len(shape) == 1 else group_step)(
        w.detach().numpy().reshape(shape),
        None if square is None else square.detach().numpy().reshape(shape),
        float(add),
        float(lr),
        l1,
        l2,
        torch.get_num_threads(),
    )


take_step = torch.no_grad()(shrink)  # which costs as much as a small step


def _in_memory(x: torch.Tensor, like: torch.Tensor) -> bool:
    """Whether compiled loops over numbers in memory can read x, and beside it `like`."""
    return (
        x.is_cpu
        and x.dtype in (torch.float32, torch.float64)
        and x.dtype == like.dtype
        and x.is_contiguous()
        and type(x) in _PLAIN
    )


def _is_number(x: Any) -> bool:
    """Whether x is one number, which needs no other device."""
    return not isinstance(x, torch.Tensor) or (x.is_cpu and x.ndim == 0)


def step_size(
    optimizer: torch.optim.Optimizer,
    group: Mapping[str, Any],
    w: torch.Tensor,
    before: torch.Tensor | None,
) -> tuple[Any, Any]:
    """Return what the optimizer multiplied an (average) gradient with in the step just done.

    A pair: the quotient of a number, and of a number, tensor or `Root`. `before` is w before the
    step, where that is needed.
    """
    if before is not None and w.grad is not None:
        return torch.linalg.vector_norm(w - before), torch.linalg.vector_norm(w.grad) + 1e-30
    optim, lr, state = torch.optim, group["lr"], optimizer.state[w]
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
            raise AssertionError(f"no step size of {type(optimizer).__name__}")


def _count(state: dict[str, Any], like: torch.Tensor) -> Any:
    """Return the number of steps: as a number, where that needs no other device."""
    count: torch.Tensor = state["step"]
    if count.is_cpu and not torch.compiler.is_compiling():
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
    """Return what the buffer of SGD would hold if every gradient had been 1."""
    momentum = group["momentum"]
    if momentum == 0.0:
        return 1.0
    total = state[_WEIGHT_SUM]
    if total.is_cpu and not torch.compiler.is_compiling():
        total = total.item()
    return 1.0 + momentum * total if group["nesterov"] else total


def count_momentum(optimizer: torch.optim.Optimizer, skipped: torch.Tensor | None) -> None:
    """Keep count of that, with or without penalties; `skipped` is 1 where nothing was done."""
    for group in optimizer.param_groups if isinstance(optimizer, torch.optim.SGD) else ():
        momentum, damped = group["momentum"], 1.0 - group["dampening"]
        for w in group["params"] if momentum != 0.0 else ():
            if w.grad is None:
                continue
            total = optimizer.state[w][_WEIGHT_SUM]
            # The first gradient enters the buffer undamped.
            if skipped is None and total.is_cpu and not torch.compiler.is_compiling():
                before = total.item()
                total.fill_(1.0 if before == 0.0 else momentum * before + damped)
                continue
            now = torch.where(total == 0.0, 1.0, momentum * total + damped)
            if skipped is not None:
                now = torch.where(skipped.to(w.device) > 0.0, total, now)
            total.copy_(now)


def prepare(optimizer: torch.optim.Optimizer) -> None:
    """Put into the state of SGD what `count_momentum` counts, where it is not there."""
    for group in optimizer.param_groups if isinstance(optimizer, torch.optim.SGD) else ():
        for w in group["params"] if group["momentum"] != 0.0 else ():
            state = optimizer.state[w]
            if _WEIGHT_SUM not in state:
                # A buffer that is there is taken to be an old one.
                old = state.get("momentum_buffer") is not None
                total = (1.0 - group["dampening"]) / (1.0 - group["momentum"]) if old else 0.0
                state[_WEIGHT_SUM] = torch.full((), total, dtype=w.dtype, device=w.device)
