"""What a user has asked for, checked before any work is done."""

from dataclasses import dataclass
from typing import Any

from fastreg.cli import pictures
from fastreg.cli.coefficients import check_coefficient_path
from fastreg.cli.compare import L1_RATIOS, PENALTIES, Plan
from fastreg.cli.errors import UserError
from fastreg.cli.files import check_outputs


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of ``fastreg fit``, ``validate`` or ``compare``; see their help.

    `words` are what the user has typed after the program's name, and `given` has the names of the
    options among them. A command leaves the others as they are here: a comparison is of all
    penalties, and has no alpha.
    """

    command: str
    words: tuple[str, ...] = ()
    given: frozenset[str]
    data: str
    target: str | None
    file_format: str | None
    decimal_comma: bool
    weights: str | None
    drop: tuple[str, ...]
    categorical: tuple[str, ...]
    impute: Any
    max_levels: int
    penalty: str = "all"
    l1_ratios: tuple[float, ...]
    alpha: float | None = None
    n_alphas: int
    eps: float
    relax: tuple[float, ...] = ()
    degrees: tuple[int, ...]
    standardize: bool
    folds: int
    groups: str | None
    time_ordered: bool
    test_size: float
    seed: int
    selection: str
    report: str | None = None
    plot: str | None
    style: str
    coef: str | None
    model: str | None

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        self._refuse_idle()
        if self.groups is not None and self.time_ordered:
            raise UserError("--groups and --time-ordered do not go together")
        if self.folds == 1:
            raise UserError("--folds 1 has nothing to train on: 2 or more, or 0 for none")
        if self.folds == 0 and self.has_path:
            raise UserError("without --folds the strength must be given: --alpha")
        if self.alpha is not None and len(self.l1_ratios) > 1:
            raise UserError("--alpha takes one --l1-ratio, not several")
        if self.relax and len(self.degrees) > 1:
            raise UserError("--relax takes one --degree, not several")
        if self.plot is not None:
            pictures.check_picture_path(self.plot)
        if self.report is not None:
            pictures.check_report_path(self.report)
        if self.coef is not None:
            check_coefficient_path(self.coef)
        check_outputs(
            {
                "--coef": self.coef,
                "--model": self.model,
                "--plot": self.plot,
                "--report": self.report,
            },
            {
                "DATA": self.data,
                "--target": self.target,
                "--weights": self.weights,
                "--groups": self.groups,
            },
        )

    def _refuse_idle(self) -> None:
        """Refuse options that would have no effect, and so are probably not what was meant."""
        with_ = "--penalty none" if self.penalty == "none" else "--alpha"
        one_fit = not self.folds and not self.test_size
        idle = {
            f"is about the path of alphas, and there is none with {with_}": (
                not self.has_path,
                ("n_alphas", "eps", "selection") + (() if self.has_curve else ("plot",)),
            ),
            "is the strength of a penalty, and there is none with --penalty none": (
                self.penalty == "none",
                ("alpha",),
            ),
            "is about a penalty, and there is none with --penalty none": (
                self.penalty == "none",
                ("standardize",),
            ),
            f"is about the elastic net, and --penalty is {self.penalty}": (
                self.penalty not in ("all", "elasticnet"),
                ("l1_ratios",),
            ),
            f"is about penalties that leave features out, and --penalty is {self.penalty}": (
                self.penalty in ("l2", "none"),
                ("relax",),
            ),
            "is about the picture: say --plot, too": (self.plot is None, ("style",)),
            "is about rows that are held out, and there are none": (
                one_fit,
                ("groups", "time_ordered", "seed"),
            ),
            "draws nothing with --time-ordered": (self.time_ordered, ("seed",)),
        }
        flags = {"l1_ratios": "l1-ratio", "degrees": "degree"}
        for why, (applies, names) in idle.items():
            for name in names:
                if applies and name in self.given:
                    raise UserError(f"--{flags.get(name, name.replace('_', '-'))} {why}")

    @property
    def has_path(self) -> bool:
        """Whether alpha is chosen from a path."""
        return self.alpha is None and self.penalty != "none"

    @property
    def has_curve(self) -> bool:
        """Whether there is anything to choose from."""
        return self.has_path or len(self.degrees) > 1

    @property
    def degree(self) -> int:
        """The largest degree."""
        return self.degrees[-1]

    @property
    def plan(self) -> Plan:
        """What to fit."""
        usual = (0.5,) if self.alpha is not None else L1_RATIOS
        return Plan(
            penalties=PENALTIES if self.penalty == "all" else (self.penalty,),
            l1_ratios=self.l1_ratios or usual,
            alpha=self.alpha,
            n_alphas=self.n_alphas,
            eps=self.eps,
            selection=self.selection,
            standardize=self.standardize,
            relax=tuple(sorted(set(self.relax))),
        )
