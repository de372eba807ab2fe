"""The table, in the terminal and in Markdown, and the picture."""

import datetime
import importlib.metadata
import itertools
import json
import math
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import solvers

HERE = Path(__file__).resolve().parent.parent
RECORD, TABLE, PICTURE = HERE / "peers.json", HERE / "RESULTS.md", HERE / "peers.png"

INTRODUCTION = """\
# fastreg and its peers

Written by `python -m benchmarks.peers` (see `benchmarks/peers/__init__.py` for how); every figure
is as it was measured, whichever way it went.

*Ratio* is the best peer's time over ours, both at a relative duality gap of 1e-6 by an independent
oracle (unless the case says otherwise), the median over alternating pairs in one process, on one
thread. Above 1 we are faster. In the rows without a peer (15, 17 to 20) it is what the case says.
*Passes* are reads of X as fastreg counts them, and in brackets its time in units of one `X'r` by
NumPy or SciPy. *Gap* is the largest of our path, by the oracle. Absolute times are of a shared
virtual machine; only ratios carry over.
"""


@dataclass
class Line:
    """One case: ours against what it is compared with. `details` are all peers, as dicts."""

    row: int
    case: str
    seconds: float
    against: str
    against_seconds: float
    ratio: float
    goal: str
    met: bool
    passes: float = math.nan
    gap: float = math.nan
    pass_seconds: float = math.nan
    gram_seconds: float = math.nan
    note: str = ""
    details: list[dict] = field(default_factory=list)

    @property
    def peers(self) -> list[dict]:
        """The details that are of peers; in row 20 they are sizes and seconds."""
        return [detail for detail in self.details if "peer" in detail]


def versus(row, case, against, times, least, valid=True, **more) -> Line:
    """The line of a ratio that must be large; times are (the other's, ours, their ratio)."""
    taken, own, ratio = map(float, times)
    met = bool(valid and ratio >= least)
    return Line(row, case, own, against, taken, ratio, f">= {least:g}x", met, **more)


def missing(row, case, goal, note) -> Line:
    """The line of what could not be measured."""
    nothing = math.nan
    return Line(
        row, case, nothing, "", nothing, nothing, goal, False, note=f"not available: {note}"
    )


def line_of(measured) -> Line:
    """The line of a comparison with peers."""
    best = measured.best
    valid = measured.gap <= measured.target
    note = measured.note
    if best is None:
        note = "; ".join(filter(None, (note, "no peer reached the gap")))
    elif best.peer in solvers.BY_HAND:
        hand = solvers.BY_HAND
        packaged = [peer for peer in measured.peers if peer.reached and peer.peer not in hand]
        if packaged:
            second = min(packaged, key=lambda peer: peer.ratio)
            remark = f"of what a package does by itself the best is {second.peer}"
            note = "; ".join(filter(None, (note, f"{remark}, {factor(second.ratio)}")))
    ratio = best.ratio if best else math.nan
    return Line(
        measured.row,
        measured.case,
        best.ours if best else measured.seconds,
        best.peer if best else "none",
        best.seconds if best else math.nan,
        ratio,
        f">= {measured.goal:g}x",
        valid and (best is None or ratio >= measured.goal),
        measured.n_passes,
        measured.gap,
        measured.pass_seconds,
        measured.gram_seconds,
        note,
        [asdict(peer) for peer in measured.peers],
    )


def duration(seconds: float) -> str:
    """Three digits in a fitting unit."""
    if not math.isfinite(seconds):
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def number(value: float, form: str = ".3g") -> str:
    """A number, or a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"


def factor(ratio: float) -> str:
    """A ratio with two digits, three from 100 on."""
    if not math.isfinite(ratio):
        return "-"
    return f"{ratio:.0f}x" if ratio >= 99.5 else f"{ratio:.2g}x"


def cells(line: Line) -> list[str]:
    """The columns of the table."""
    passes = number(line.passes)
    if math.isfinite(line.pass_seconds) and math.isfinite(line.seconds):
        passes += f" ({line.seconds / line.pass_seconds:.3g})"
    return [
        str(line.row),
        line.case,
        duration(line.seconds),
        line.against,
        duration(line.against_seconds),
        factor(line.ratio),
        line.goal,
        "no rival" if line.against == "none" else "met" if line.met else "missed",
        passes,
        number(line.gap, ".0e"),
    ]


def in_limits(line: Line) -> str:
    """Our time in units of what the machine needs for one X'r and for one Gram matrix."""
    text = f"ours {duration(line.seconds)}"
    for name, limit in (("X'r", line.pass_seconds), ("Gram matrix", line.gram_seconds)):
        if math.isfinite(limit):
            text += f", {line.seconds / limit:.3g} times one {name} ({duration(limit)})"
    return text


HEADER = "Row|Case|Ours|Best peer|Its time|Ratio|Goal|Verdict|Passes (time)|Gap".split("|")
PEER_HEADER = "Peer|Ratio|Time|Tolerance|Gap|Note".split("|")


def peer_cells(detail: dict) -> list[str]:
    """The columns of the detailed table; the ratio is in brackets where the gap was not reached."""
    ratio = factor(detail["ratio"])
    return [
        detail["peer"],
        ratio if detail["reached"] or ratio == "-" else f"({ratio})",
        duration(detail["seconds"]),
        number(detail["tol"], ".0e"),
        number(detail["gap"], ".0e"),
        detail["note"],
    ]


def show(lines: list[Line], console, detailed: bool = True) -> None:
    """Print the tables of some lines."""
    from rich.markup import escape
    from rich.table import Table

    def table(header, rows, title=None):
        made = Table(title=title and escape(title), title_justify="left", show_edge=False)
        for k, name in enumerate(header):
            made.add_column(name, overflow="fold", justify="left" if k in (0, 1, 3) else "right")
        for row in rows:
            made.add_row(*map(escape, row))
        console.print(made)

    for line in lines if detailed else ():
        if line.peers:
            title = f"{line.row}: {line.case}; {in_limits(line)}"
            table(PEER_HEADER, [peer_cells(detail) for detail in line.peers], title)
    table(HEADER, [cells(line) for line in lines])
    for line in lines:
        if line.note:
            console.print(f"  {line.row}: {line.case}: {line.note}", markup=False)


def machine() -> str:
    """The processor and the system."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """Versions of the packages, those that are installed."""
    found = {}
    for name in ("fastreg-solvers", *solvers.DISTRIBUTIONS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def keep(lines: list[Line], conditions: str) -> list[Line]:
    """Put the rows of these lines into the record; all lines of the record."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"rows": {}}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for row in {line.row for line in lines}:
        record["rows"][str(row)] = {
            "date": today,
            "conditions": conditions,
            "machine": machine(),
            "versions": versions(),
            "lines": [asdict(line) for line in lines if line.row == row],
        }
    record["rows"] = dict(sorted(record["rows"].items(), key=lambda item: int(item[0])))
    # What NumPy has computed (numbers, truth values) is written as Python's own.
    text = json.dumps(record, indent=1, default=lambda value: value.item())
    RECORD.write_text(text + "\n", encoding="utf-8")
    everything = [Line(**line) for row in record["rows"].values() for line in row["lines"]]
    write_table(record, everything)
    picture(everything, PICTURE)
    return everything


def _markdown(header, rows):
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(r) + " |" for r in [header, ["---"] * len(header), *escaped])


def write_table(record: dict, lines: list[Line]) -> None:
    """Write RESULTS.md."""
    parts = [INTRODUCTION, _markdown(HEADER, [cells(line) for line in lines]), ""]
    met = sum(line.met for line in lines)
    parts += [f"{met} of {len(lines)} cases meet their goal.", "", f"![]({PICTURE.name})", ""]
    notes = [f"- {line.row}, {line.case}: {line.note}" for line in lines if line.note]
    parts += ["## Notes", "", *(notes or ["none"]), "", "## Conditions", ""]
    groups: dict[tuple, list[str]] = {}
    for row, entry in record["rows"].items():
        packages = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
        facts = entry["date"], entry["machine"], entry["conditions"], packages
        groups.setdefault(facts, []).append(row)
    parts += [f"- Rows {', '.join(rows)}: {'; '.join(facts)}." for facts, rows in groups.items()]
    parts += ["", "## Every peer", ""]
    parts += ["A ratio in brackets is of an answer that misses the gap.", ""]
    for line in lines:
        if line.peers and math.isfinite(line.pass_seconds):
            parts += [f"### {line.row}: {line.case}", "", f"{in_limits(line)}.", ""]
            parts += [_markdown(PEER_HEADER, map(peer_cells, line.peers)), ""]
    TABLE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


# Okabe and Ito's colours, which colour-blind readers can tell apart, each with its own marker.
STYLES = {
    "scikit-learn": ("#0072B2", "o"),
    "scikit-learn Gram": ("#56B4E9", "o"),
    "scikit-learn Cholesky": ("#56B4E9", "h"),
    "scikit-learn-intelex": ("#000000", "x"),
    "celer": ("#D55E00", "s"),
    "skglm": ("#CC79A7", "D"),
    "adelie": ("#009E73", "^"),
    "adelie covariance": ("#009E73", "v"),
    "glmnet-rs": ("#E69F00", "P"),
    "python-glmnet": ("#E69F00", "X"),
    "glum": ("#666666", "*"),
    "snapml": ("#000000", "+"),
    "spams": ("#666666", "p"),
}


def widest_gap(values: list[float]) -> float:
    """The middle, on a log scale, of the widest interval without a value."""
    ordered = sorted(values)
    low, high = max(itertools.pairwise(ordered), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(low * high)


def together(
    spots: list[tuple[int, float, float]], near: float = 1.6
) -> list[tuple[list[int], float, float]]:
    """Rows at places (x, y): those nearer than that factor to each other share one label."""
    labels: list[tuple[list[int], float, float]] = []
    for row, x, y in sorted(spots, key=lambda spot: spot[1:]):
        for rows, at, height in labels:
            if 1 / near < x / at < near and 1 / near < y / height < near:
                rows += [] if row in rows else [row]
                break
        else:
            labels.append(([row], x, y))
    return [(sorted(rows), x, y) for rows, x, y in labels]


def solver(detail: dict) -> str:
    """The peer behind a class of its own, or a loop over folds."""
    name: str = detail["peer"]
    return name.removesuffix(", looped").replace(" LassoCV", "").replace(" RidgeCV", "")


def picture(lines: list[Line], file: Path) -> None:
    """Time of every peer against ours, log-log; hollow where the gap was not reached."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    points = [
        (line.seconds, detail)
        for line in lines
        for detail in line.peers
        if math.isfinite(detail["ratio"]) and detail["ratio"] > 0
    ]
    if not points:
        return
    figure, axes = plt.subplots(figsize=(10, 7), layout="constrained")
    for peer, (colour, marker) in STYLES.items():
        for reached in (True, False):
            own = [(x, d) for x, d in points if solver(d) == peer and d["reached"] == reached]
            if not own:
                continue
            thin = marker in "x+"
            axes.scatter(
                [x for x, _ in own],
                [x * d["ratio"] for x, d in own],
                s=46,
                marker=marker,
                label=peer if reached else None,
                alpha=0.9 if reached else 0.45,
                linewidths=1.2,
                **({"color": colour} if thin else {"edgecolors": colour}),
                **({} if thin else {"facecolors": colour if reached else "none"}),
            )
    low = min(x for x, _ in points) / 2
    high = max(x for x, _ in points) * 2
    bottom = min(x * d["ratio"] for x, d in points) / 2
    top = max(x * d["ratio"] for x, d in points) * 2
    free = widest_gap([x for x, _ in points])
    # the same length of a decade on both axes
    tilt = math.degrees(math.atan2(7 * math.log(high / low), 8 * math.log(top / bottom)))
    for times in (1, 10, 100):
        axes.plot(
            [low, high], [times * low, times * high], color="0.6", lw=2 if times == 1 else 0.9
        )
        label = "as fast as fastreg" if times == 1 else f"{times} times slower"
        axes.annotate(label, (free, times * free), (0, 3), textcoords="offset points",
                      color="0.35", size=9, ha="center", va="bottom", rotation=tilt,
                      rotation_mode="anchor")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top))
    axes.set(xlabel="time of fastreg (s)", ylabel="time of the peer (s)")
    axes.set_title("One point a case and peer; hollow: the peer did not reach the gap", size=11)
    best = [(line.row, line.seconds, line.seconds * line.ratio) for line in lines if line.peers]
    for rows, x, y in together([spot for spot in best if math.isfinite(spot[2])]):
        axes.annotate(", ".join(map(str, rows)), (x, y), (0, -13), size=8, ha="center",
                      textcoords="offset points", color="0.2", zorder=5,
                      bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.5})  # fmt: skip
    axes.grid(which="major", color="0.92")
    figure.legend(*axes.get_legend_handles_labels(), fontsize=9, loc="outside right upper")
    figure.savefig(file, dpi=130)
    plt.close(figure)
