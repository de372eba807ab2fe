"""fastreg side by side with every package that a user could pick instead.

``python -m benchmarks.peers [ROW ...] [--quick] [--threads N] [--seeds K] [--only PEER ...]``, or
``ci/peers`` with the same arguments, which first makes an environment with all the peers.

A row is one row of the table of goals (``--list`` prints them). For each case of a row:

* Every solver gets the same objective on the same data, each in the form that it is fastest in: in
  Fortran order, centred beforehand where its fast functions know no intercept, with a Gram matrix
  where that pays, as a path where it has one. Such conversions are not in its time. fastreg gets
  what a user holds (the case says which memory order), and all that it does is in its time.
* Each solver's answer is judged by one oracle in plain NumPy (``benchmarks.reference``): the
  primal objective minus the dual one at the rescaled residual, over the objective of the intercept
  alone, the largest over the path. Of a short geometric ladder of tolerances the loosest one whose
  answer reaches the gap is taken. fastreg's ladder begins at the gap itself, since that is what its
  ``tol`` means; it is never given a looser one.
* At these tolerances fastreg and the peer alternate in one process, and the ratio is the median
  over pairs. A peer that takes more than ``ONCE`` seconds has run once, in the search; one that
  takes more than ``--box`` seconds has been stopped. A peer that does not reach the gap is shown
  with the gap that it reached and its time, and cannot be the best one.

The search runs in a forked process, so that a peer that hangs or crashes costs no more than its
time box. Where the time of one pass X'r and of one Gram matrix are printed, they are NumPy's and
BLAS's on the data as the user holds it, measured next to the fit.

Results of full runs are kept in ``benchmarks/peers.json``, a row at a time, from which
``benchmarks/RESULTS.md`` and ``benchmarks/peers.png`` are written; ``--quick`` keeps nothing.
"""
