"""Benchmarks: every hot kernel and every solver against plain NumPy on the same data.

From the top of a clone, with the package installed for development (``pip install -e .``) with its
``bench`` extra:

``python -m benchmarks.quick``
    Every benchmark once, in its smallest size: under a minute. Fails when the package and the
    reference disagree, so that no benchmark rots. The ratios that it prints are of tiny problems.

``asv machine --yes --config benchmarks/asv.conf.json``, then
``asv run --config benchmarks/asv.conf.json --quick --python=same``
    The suite in full size, each benchmark once, on the package as it is installed.

``asv run --config benchmarks/asv.conf.json HEAD^!``, then ``asv publish`` and ``asv preview``
    with the same ``--config``: build the commit in an environment of its own, measure it with
    repetitions, and show the history in a browser. Any range of commits does.

``asv check --config benchmarks/asv.conf.json --python=same``
    Only imports the suite and checks the signatures.

What is measured, in each class: ``time_`` and ``peakmem_`` for ``fastreg`` and for
``reference`` (peak memory is of the whole process, data included), ``track_ratio`` (time of fastreg
over that of the reference, alternating in one process: the number to quote, since it survives a
noisy machine), and, for solvers, ``track_gap`` (the duality gap that the result reports, over the
null objective; quick mode verifies it), ``track_passes`` (reads of X) and ``track_sweeps``. Solver
and reference stop at the same gap. All run on one thread.

Further commands are not part of the suite: ``python -m benchmarks.compare`` compares two
installations of the package and fails when the second is slower (through ``ci/compare``, which
makes them from two commits), ``python -m benchmarks.peers`` compares with other packages (through
``ci/peers``, which installs them), ``python -m benchmarks.choice`` checks that
``method="auto"`` takes about the best method, ``python -m benchmarks.networks`` measures what a
training step in Keras and PyTorch costs with our penalties.

Where things are: ``reference`` has the plain NumPy implementations, ``data`` the regimes,
``common`` what a comparison is, the other modules the comparisons.
"""

import os

# Before NumPy loads its BLAS: a ratio is of one thread against one thread. (Under asv, which may
# have imported NumPy already, asv.conf.json does the same.)
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
