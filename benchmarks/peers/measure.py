"""Find the loosest tolerance that reaches the gap; time it; time what the machine can do."""

import multiprocessing
import warnings
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from scipy.linalg.blas import dsyrk

from benchmarks.common import alternate

from . import solvers
from .cases import Case

ONCE = 5.0
"""Seconds above which a peer is run once, unless told otherwise."""

STALLED = 2
"""Attempts without progress after which a solver is given up."""


@dataclass
class Attempt:
    """One rung: what a solver reached at a tolerance, and the seconds that it took."""

    tol: float
    gap: float
    seconds: float


@dataclass
class Outcome:
    """A peer on a case. `ratio` is its time over ours; `note` says why something is missing."""

    peer: str
    tol: float = np.nan
    gap: float = np.inf
    seconds: float = np.nan
    ours: float = np.nan  # our time, alternating with it
    ratio: float = np.nan
    reached: bool = False
    note: str = ""


@dataclass
class Measured:
    """fastreg and its peers on a case."""

    row: int
    case: str
    goal: float
    target: float
    seconds: float
    gap: float
    method: str
    n_passes: float
    n_sweeps: float
    n_active: int
    pass_seconds: float
    gram_seconds: float
    note: str = ""
    peers: list[Outcome] = field(default_factory=list)

    @property
    def best(self) -> Outcome | None:
        """The fastest peer that reached the gap."""
        reached = [peer for peer in self.peers if peer.reached]
        return min(reached, key=lambda peer: peer.ratio) if reached else None


def quietly(call, *arguments):
    """The value of a call without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


def once(call, *arguments):
    """(value, seconds) of a call."""
    begin = perf_counter()
    value = quietly(call, *arguments)
    return value, perf_counter() - begin


def _try(case: Case, run: solvers.Run, tol: float) -> Attempt:
    value, seconds = once(run.call, tol)
    coefs = np.reshape(np.asarray(run.coefs(value), float), (-1, case.X.shape[1]))
    if len(coefs) < len(case.alphas):
        raise ValueError(f"it stopped after {len(coefs)} of {len(case.alphas)} alphas")
    return Attempt(tol, float(case.gaps(coefs).max()), seconds)


def _climb(connection, case: Case, run: solvers.Run) -> None:
    """Try every other tolerance, loosest first, then the one before the first that does.

    Tells of each attempt; runs in a process of its own.
    """
    best, idle, ladder = np.inf, 0, [float(tol) for tol in run.ladder]
    try:
        for k in range(0, len(ladder), 2):
            attempt = _try(case, run, ladder[k])
            connection.send(attempt)
            if attempt.gap <= case.gap:
                if k > 0:
                    connection.send(_try(case, run, ladder[k - 1]))
                return
            idle = 0 if attempt.gap < 0.5 * best else idle + 1
            best = min(best, attempt.gap)
            if idle >= STALLED:
                return
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}".splitlines()[0][:120])
    finally:
        connection.close()


def loosest(attempts: list[Attempt], target: float) -> Attempt:
    """The attempt at the loosest tolerance that reaches the gap; else the one of smallest gap."""
    reached = [attempt for attempt in attempts if attempt.gap <= target]
    if reached:
        return max(reached, key=lambda attempt: attempt.tol)
    return min(attempts, key=lambda attempt: attempt.gap)


def search(case: Case, run: solvers.Run, box: float) -> tuple[list[Attempt], str]:
    """The attempts that ended within the time box, and a note on what did not."""
    case.gaps(np.zeros((len(case.alphas), case.X.shape[1])))  # the oracle's data, before the fork
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_climb, args=(sender, case, run), daemon=True)
    process.start()
    sender.close()
    attempts, note = [], ""
    while True:
        if not receiver.poll(1.2 * box + 1):
            note = f"stopped after {box:g} s"
            break
        try:
            message = receiver.recv()
        except EOFError:
            break
        if isinstance(message, str):
            note = message
        else:
            attempts.append(message)
            if message.seconds > box:
                break
    process.kill()
    process.join()
    if not attempts and not note:
        note = "crashed"
    return attempts, note


def compare(case: Case, names, box: float, seconds: float, slow: float = ONCE) -> Measured:
    """fastreg against each peer on a case; a peer's pairs take about `seconds`.

    A peer (or fastreg) that takes longer than `slow` seconds is run once.
    """
    run = solvers.fastreg(case)
    attempts, note = search(case, run, 4 * box)
    if not attempts:
        return _failed(case, note)
    ours = loosest(attempts, case.gap)
    result, _ = once(run.call, ours.tol)
    measured = _failed(case, "" if ours.gap <= case.gap else "our answer misses the gap")
    measured.gap, measured.method = ours.gap, result.method
    measured.n_passes = float(np.sum(result.n_passes))
    measured.n_sweeps = float(np.sum(result.n_sweeps))
    measured.n_active = int(np.max(result.n_active))
    measured.seconds = _ours_alone(run, ours, slow)
    for name in names:
        outcome = _against(case, run, ours, name, box, seconds, slow)
        if outcome is not None:
            measured.peers.append(outcome)
    return measured


def _failed(case: Case, note: str) -> Measured:
    nothing = (np.nan, np.inf, "", np.nan, np.nan, 0)
    limits = pass_seconds(case), gram_seconds(case)
    return Measured(case.row, case.name, case.goal, case.gap, *nothing, *limits, note)


def _ours_alone(run, ours: Attempt, slow: float) -> float:
    if ours.seconds > slow:
        return ours.seconds
    repeats = int(np.clip(1 / max(ours.seconds, 1e-4), 3, 30))
    return float(np.median([once(run.call, ours.tol)[1] for _ in range(repeats)]))


def _against(case, run, ours, name, box, seconds, slow) -> Outcome | None:
    """One peer; None where it does not do such a problem."""
    try:
        peer = quietly(solvers.PEERS[name], case)
    except Exception as error:
        return Outcome(name, note=f"{type(error).__name__}: {error}"[:120])
    if peer is None:
        return None
    attempts, note = search(case, peer, box)
    if not attempts:
        return Outcome(name, note=note)
    last = loosest(attempts, case.gap)
    outcome = Outcome(name, last.tol, last.gap, last.seconds, ours.seconds)
    outcome.reached = last.gap <= case.gap
    if max(last.seconds, ours.seconds) > slow:
        outcome.ratio = last.seconds / ours.seconds
        outcome.note = "; ".join(filter(None, (note, "run once")))
        return outcome

    def theirs():
        quietly(peer.call, last.tol)

    theirs()
    times = alternate(theirs, lambda: quietly(run.call, ours.tol), seconds=seconds)
    outcome.seconds, outcome.ours, outcome.ratio, outcome.note = *map(float, times), note
    return outcome


def _median_seconds(call, budget=0.3) -> float:
    call()
    times, start = [], perf_counter()
    while len(times) < 3 or (perf_counter() - start < budget and len(times) < 50):
        times.append(once(call)[1])
    return float(np.median(times))


def pass_seconds(case: Case) -> float:
    """One X'r by NumPy (gemv) or SciPy, on the data as the user holds it."""
    X, r = case.X, np.ascontiguousarray(case.problem.b)
    return _median_seconds(lambda: X.T @ r)


def gram_seconds(case: Case) -> float:
    """One X'X by BLAS (dsyrk); NaN where nobody would want it."""
    if not case.tall:
        return np.nan
    X = case.X
    if X.flags.f_contiguous:
        return _median_seconds(lambda: dsyrk(1.0, X, trans=1))
    return _median_seconds(lambda: dsyrk(1.0, X.T))


def agreement(case: Case, names) -> dict[str, float]:
    """Largest difference from our coefficients at the tightest tolerance, over the largest one."""
    run = solvers.fastreg(case)
    ours = np.atleast_2d(run.coefs(run.call(1e-14)))
    differences = {}
    for name in names:
        peer = quietly(solvers.PEERS[name], case)
        if peer is None:
            continue
        best = np.inf
        for tol in peer.ladder[::-1][:4]:
            try:
                theirs = np.reshape(peer.coefs(quietly(peer.call, float(tol))), ours.shape)
            except Exception:  # some refuse what is too tight
                continue
            best = min(best, float(np.abs(theirs - ours).max() / np.abs(ours).max()))
        differences[name] = best
    return differences


def pool(draws: list[Measured]) -> Measured:
    """One comparison from several draws of its case: medians of times, the worst of gaps."""
    first = draws[0]
    if len(draws) == 1:
        return first
    for name in ("seconds", "n_passes", "n_sweeps", "pass_seconds", "gram_seconds"):
        setattr(first, name, float(np.median([getattr(draw, name) for draw in draws])))
    first.gap = max(draw.gap for draw in draws)
    by_peer = {peer.peer: [] for draw in draws for peer in draw.peers}
    for draw in draws:
        for peer in draw.peers:
            by_peer[peer.peer].append(peer)
    first.peers = [
        Outcome(
            name,
            min(peer.tol for peer in found),
            max(peer.gap for peer in found),
            *(
                float(np.median([getattr(peer, name) for peer in found]))
                for name in ("seconds", "ours", "ratio")
            ),
            all(peer.reached for peer in found) and len(found) == len(draws),
            "; ".join(sorted({peer.note for peer in found if peer.note})),
        )
        for name, found in by_peer.items()
    ]
    return first


def limited(n_threads: int):
    """A context in which no BLAS or OpenMP pool uses more threads."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n_threads)
