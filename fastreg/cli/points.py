"""The points of one model's curve that ``fastreg validate`` tells."""

from typing import Any

import numpy as np

from fastreg.cli import words
from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.judge import Estimate, optimism, root_mean
from fastreg.cli.report import Grid


def table(comparison: Comparison, outcome: Outcome) -> Grid:
    """Make the table of the least error, of the one-standard-error rule, and of the mean alone."""
    found: Any = outcome.validation
    degrees, mixed = found.degrees is not None, len(found.l1_ratios) > 1
    relaxed = found.blends is not None
    test = len(comparison.data.test) > 0
    columns = ["Point", *["Degree"] * degrees, *["L1 ratio"] * mixed, *["Relax"] * relaxed, "Alpha"]
    columns += ["Held-out\nRMSE ± s.e.", "Opti-\nmism", "Kept, mean\nof folds"]
    columns += ["Test\nRMSE ± s.e."] * test + ["Kept", "Proven\nzero", "Gap"]
    mean = words.estimate(comparison.mean_error)
    blank = [""] * (1 + degrees + mixed + relaxed)
    rows = [("mean only", *blank, mean, "", "0", *_test_of_mean(comparison), "0", "", "")]
    for name, place in (("least error", found.index_min), ("1 s.e. rule", found.index_1se)):
        own = place == found.index
        cells = [name + (" *" if own else "")]
        if degrees:
            cells.append(str(found.degrees[place[0]]))
        mixture, blend = outcome.place(place)
        cells += [f"{outcome.shares[mixture]:g}"] * mixed
        cells += [f"{found.blends[blend]:g}"] if relaxed else []
        cells += [words.strength(found.alphas[place]), words.estimate(error_at(found, place))]
        bias = None
        if place == found.index_min and found.mean.size > 1:
            bias = optimism(found.fold_scores, place, found.fold_weights)
        cells += [words.optimism(bias), f"{found.n_active[place]:.4g}"]
        if own:
            cells += [words.estimate(comparison.test_error(outcome.test_scores))] * test
            cells += [str(outcome.n_kept), str(outcome.n_proven)]
            cells += [words.gap(outcome.result.relative_gap)]
        rows.append((*cells, *[""] * (len(columns) - len(cells))))
    chosen = [1 + k for k, row in enumerate(rows[1:]) if row[0].endswith("*")]
    return Grid(tuple(columns), rows, frozenset(chosen), frozenset([0]))


def degrees(comparison: Comparison, outcome: Outcome) -> Grid:
    """Make the table of the least error of every degree."""
    found: Any = outcome.validation
    rows: list[tuple[str, ...]] = []
    for k, degree in enumerate(found.degrees):
        within = np.unravel_index(int(np.argmin(found.mean[k])), found.mean[k].shape)
        place = (k, *(int(i) for i in within))
        rows.append(
            (
                f"{degree}",
                words.strength(found.alphas[place]),
                words.estimate(error_at(found, place)),
                f"{found.n_active[place]:.4g}",
            )
        )
    headings = ("Degree", "Alpha", "Held-out\nRMSE ± s.e.", "Kept, mean\nof folds")
    return Grid(headings, rows, frozenset([found.index[0]]))


def error_at(found: Any, place: tuple[int, ...]) -> Estimate:
    """Estimate the held-out error of a point of the grid."""
    return root_mean(found.fold_scores[place], found.fold_weights)


def _test_of_mean(comparison: Comparison) -> list[str]:
    if not len(comparison.data.test):
        return []
    return [words.estimate(comparison.test_error(comparison.mean_test_scores))]
