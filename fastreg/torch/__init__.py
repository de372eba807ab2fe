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
all others             how far the weights of a parameter moved over the length of their gradient,
                       one number a parameter: zeros are exact, but training does not stop quite
                       where loss + penalty has its minimum
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

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("fastreg.torch needs PyTorch: pip install 'fastreg-solvers[torch]' brings it")

from fastreg.torch._proximal import Proximal, penalty

__all__ = ["Proximal", "penalty"]
