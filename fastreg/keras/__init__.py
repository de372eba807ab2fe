"""L1, L2 and group regularizers for Keras layers, by proximal steps: zeros are exact.

`l1`, `l2`, `l1_l2` stand where those of `keras.regularizers` stand, with the same arguments and the
same penalty in the reported loss; `l21` sets whole inputs or whole neurons to zero. Nothing else in
the code changes::

    import fastreg.keras

    model.add(Dense(64, activation="relu", kernel_regularizer=fastreg.keras.l1(0.01)))
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, y)

Afterwards `sparsity_report` counts what is zero, and `prune` makes a smaller model of the rest.

How it works
------------
Keras follows a subgradient of the penalty, which makes weights hover about zero. Here the gradient
of a penalised weight is that of the loss alone, and after the optimizer's step, with the weights at
z, they are set to

    argmin over w of  sum_i (w_i - z_i)^2 / (2 s_i) + penalty(w)

where s is the step size that the optimizer used, what it multiplies a gradient with: for l1, a
weight within ``s_i l1`` of zero becomes exactly zero. When the first of these regularizers is made,
``keras.Optimizer.apply`` is replaced by one that does this after the original, to weights whose
regularizer is one of these, and to no others; and ``build`` by one that adds, where there are such
weights, a variable for what SGD with momentum (or RMSprop) has added up.

Why there: the step needs the weights, the step size and the optimizer's averages at once, right
after the optimizer's own step, and ``apply`` is the one public method that every way to train goes
through, compiled or not, on every backend and device. A constraint, which Keras has for the time
after a step, is told of no optimizer and no step size, and is also called between the steps of an
accumulated gradient. A callback comes too late, after a batch or several, and not at all in a loop
of one's own. A wrapped optimizer would have to be given to ``compile``, and to be known wherever
a model is loaded.

Only with that s does training stop where loss + penalty has its minimum. At rest a weight is moved
by ``-s_i g_i`` (g is the gradient of the loss, on average) and back by the proximal step, which is
possible only if -g is a subgradient of the penalty, whatever s > 0 is.

=======================  =======================================================================
optimizer                s
=======================  =======================================================================
SGD                      ``learning_rate``
SGD with momentum        the sum of the weights with which the momentum has added up gradients so
                         far: with momentum 0.9 it grows from ``learning_rate`` to 10 times that
Adam, AdamW, Nadam       ``learning_rate / (sqrt(v) + epsilon)``, v being the (corrected) average
                         of squared gradients: small steps and thresholds where gradients are large
Adamax                   ``learning_rate / u``, u being the largest gradient of late
RMSprop, Adagrad,        ``learning_rate`` over the root that they divide gradients by; RMSprop's
Adadelta                 momentum as that of SGD
Lion                     ``learning_rate / |m|``, m being the average of gradients
Ftrl, ScheduleFreeAdamW  none: they compute the weights anew from sums of their own, so that a
                         proximal step would be lost; they raise a ValueError
all others               how far the weights of a layer moved over the length of their gradient,
                         one number a layer: zeros are exact, but training does not stop quite
                         where loss + penalty has its minimum
=======================  =======================================================================

`l2` and ``weight_decay``: under SGD a gradient step on ``l2 |w|^2`` multiplies weights by
``1 - 2 learning_rate l2``, which is weight decay; the proximal step divides by one plus that, the
same to first order. Adam's division by ``sqrt(v)`` reaches Keras's own l2 as well, and this one,
through s; both stop at the minimum of loss + penalty. The weight decay of AdamW is outside of it,
shrinks all weights by the same share, and stops elsewhere.

What to know
------------
* With ``use_ema`` Keras replaces the weights in the end by their average over steps (here: over
  proximal steps). A weight that was zero for a long time is then nearly zero, not exactly.
* Gradient accumulation, loss scaling and mixed precision work; with ``clipnorm`` and its kin, the
  gradient of the loss is clipped, not the penalty.
* The penalty of an activity is differentiated, as in Keras: its zeros are those of the activation.
  So is a penalty that is called by hand, in ``add_loss``.
* In a loop of your own the step needs ``optimizer.apply`` of a Keras optimizer. With an optimizer
  of PyTorch itself, use `fastreg.torch.Proximal`; with others these penalties do nothing.
* A saved model is loaded after ``import fastreg.keras``, which registers the names
  ``"fastreg>l1"``, ``"fastreg>l2"``, ``"fastreg>l1_l2"`` and ``"fastreg>l21"``; as in Keras they
  can be given instead of objects.
"""

from importlib.util import find_spec

if find_spec("keras") is None:
    raise ImportError("fastreg.keras needs Keras 3: pip install 'fastreg-solvers[keras]' brings it")

from fastreg.keras._prune import SelectFeatures, prune
from fastreg.keras._regularizers import l1, l1_l2, l2, l21
from fastreg.keras._report import LayerSparsity, SparsityReport, sparsity_report

__all__ = [
    "LayerSparsity",
    "SelectFeatures",
    "SparsityReport",
    "l1",
    "l1_l2",
    "l2",
    "l21",
    "prune",
    "sparsity_report",
]
