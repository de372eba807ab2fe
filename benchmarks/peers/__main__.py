"""The command: see the package's docstring."""

import argparse
import os
from time import perf_counter


def arguments():
    parser = argparse.ArgumentParser("python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", type=int, metavar="ROW", help="rows 1 to 26; default all"
    )
    parser.add_argument("--quick", action="store_true", help="small data, nothing is kept")
    parser.add_argument("--threads", type=int, default=1, help="threads of BLAS and of the peers")
    parser.add_argument(
        "--seeds", type=int, default=1, help="draws of each case; medians over them"
    )
    parser.add_argument("--only", nargs="+", metavar="PEER", help="these peers")
    parser.add_argument("--box", type=float, help="seconds that a peer may take (60; quick 3)")
    parser.add_argument("--once", type=float, help="seconds above which a peer runs once (5)")
    parser.add_argument("--seconds", type=float, help="seconds of pairs with each peer (2)")
    parser.add_argument(
        "--native", action="store_true", help="row 18: build for this processor too"
    )
    parser.add_argument("--list", action="store_true", help="print rows, cases and peers")
    parser.add_argument("--render", action="store_true", help="only write table and picture again")
    return parser.parse_args()


def main():
    options = arguments()
    # Before NumPy, Numba and OpenMP are loaded.
    for name in ("OPENBLAS", "OMP", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    os.environ["POLARS_MAX_THREADS"] = str(options.threads)

    from rich.console import Console

    from . import cases, measure, others, report, solvers

    console = Console(width=None if os.environ.get("COLUMNS") else 150)
    if options.list:
        for plan in cases.PLANS:
            console.print(f"{plan.row:3} {plan.name}", markup=False, highlight=False)
        for row, function in others.ROWS.items():
            console.print(f"{row:3} {function.__doc__}", markup=False, highlight=False)
        console.print("peers:", ", ".join(solvers.PEERS))
        return
    if options.render:
        report.show(report.keep([], ""), console, detailed=False)
        return
    missing = solvers.unavailable()
    for name, reason in missing.items():
        console.print(f"not used: {name} ({reason})", markup=False)
    names = [name for name in (options.only or solvers.PEERS) if name not in missing]
    box = options.box or (3.0 if options.quick else 60.0)
    slow = options.once or measure.ONCE
    seconds = options.seconds or (0.02 if options.quick else 2.0)

    def lines_of(row):
        if row in others.ROWS:
            extra = {"native": options.native} if row == 18 else {}
            yield from others.ROWS[row](0, options.quick, seconds, **extra)
            return
        draws = [cases.cases(row, seed, options.quick) for seed in range(options.seeds)]
        for same in zip(*draws, strict=True):
            yield report.line_of(
                measure.pool([measure.compare(case, names, box, seconds, slow) for case in same])
            )

    rows = options.rows or sorted({plan.row for plan in cases.PLANS} | set(others.ROWS))
    conditions = (
        f"{options.threads} thread(s), {options.seeds} draw(s) a case, pairs for {seconds:g} s"
    )
    conditions += f", run once above {slow:g} s, stopped at {box:g} s"
    lines, failed = [], []
    with measure.limited(options.threads):
        agreement(cases, measure, names, console)
        for row in rows:
            found, start = [], perf_counter()
            try:
                for line in lines_of(row):
                    found.append(line)
                    report.show([line], console)
            except Exception:
                console.print_exception()
                failed.append(row)
                continue
            lines += found
            console.print(f"row {row} took {perf_counter() - start:.0f} s")
            if not options.quick and not options.only:
                report.keep(found, conditions)
    console.rule("all")
    report.show(lines, console, detailed=False)
    if failed:
        raise SystemExit(f"rows that could not be measured: {failed}")


def agreement(cases, measure, names, console):
    """Say how far each peer's coefficients are from ours at the tightest tolerance."""
    worst = {}
    for row in (2, 5, 7, 10, 11):
        case = next(cases.cases(row, 0, True))
        for name, difference in measure.agreement(case, names).items():
            worst[name] = max(difference, worst.get(name, 0.0))
    text = ", ".join(f"{name} {difference:.0e}" for name, difference in worst.items())
    console.print(f"coefficients at tight tolerance, difference from ours: {text}", markup=False)
    for name, difference in worst.items():
        if not difference < 1e-5:
            console.print(f"{name} does not solve the same problem", style="bold")


if __name__ == "__main__":
    main()
