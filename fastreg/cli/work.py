"""What the commands do: read, fit, tell, write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fastreg.cli import compare, heldout, pictures, report
from fastreg.cli.compare import Comparison, Outcome, Plan
from fastreg.cli.errors import UserError, count, first_line
from fastreg.cli.features import Encoder, learn
from fastreg.cli.files import check_outputs, write_whole
from fastreg.cli.heldout import Data, Parts
from fastreg.cli.modelfile import Model, load_model, save_model
from fastreg.cli.readers import FORMATS, catalogue, read_shipped, read_table
from fastreg.cli.screen import Screen, write_output
from fastreg.cli.tables import Table

__all__ = ["FORMATS", "FitOptions", "fit", "predict", "show_data", "version"]

#: Multiplications on the way (roughly) from which a progress bar is shown: about two seconds.
LONG_WORK = 2e9


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The options of ``fastreg fit``; see its help.

    `given` has the names of those that the user wrote.
    """

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
    penalty: str
    l1_ratio: float
    alpha: float | None
    n_alphas: int
    eps: float
    degree: int
    standardize: bool
    test_size: float
    validation_size: float
    seed: int
    plot: str | None
    style: str
    coef: str | None
    model: str | None

    def __post_init__(self) -> None:
        """Refuse what does not go together, before any work is done."""
        self._refuse_idle()
        if self.plot is not None:
            pictures.check_picture_path(self.plot)
        if self.has_path and not self.validation_size:
            raise UserError("without --validation-size the strength must be given: --alpha")
        if self.test_size + self.validation_size >= 1.0:
            raise UserError("--test-size and --validation-size leave no rows to train on")
        if self.coef is not None:
            report.check_coefficient_path(self.coef)
        check_outputs(
            {"--coef": self.coef, "--model": self.model, "--plot": self.plot},
            {"DATA": self.data, "--target": self.target, "--weights": self.weights},
        )

    def _refuse_idle(self) -> None:
        """Refuse options that would have no effect, and so are probably not what was meant."""
        with_ = "--penalty none" if self.penalty == "none" else "--alpha"
        idle = {
            f"is about the path of alphas, and there is none with {with_}": (
                not self.has_path,
                ("plot", "n_alphas", "eps"),
            ),
            "is the strength of a penalty, and there is none with --penalty none": (
                self.penalty == "none",
                ("alpha",),
            ),
            f"is about the elastic net, and --penalty is {self.penalty}": (
                self.penalty not in ("all", "elasticnet"),
                ("l1_ratio",),
            ),
            "is about the picture: say --plot, too": (self.plot is None, ("style",)),
        }
        for why, (applies, names) in idle.items():
            for name in names:
                if applies and name in self.given:
                    raise UserError(f"--{name.replace('_', '-')} {why}")

    @property
    def has_path(self) -> bool:
        """Whether alpha is chosen from a path."""
        return self.alpha is None and self.penalty != "none"

    @property
    def plan(self) -> Plan:
        """What to fit."""
        return Plan(
            penalties=compare.PENALTIES if self.penalty == "all" else (self.penalty,),
            l1_ratio=self.l1_ratio,
            alpha=self.alpha,
            n_alphas=self.n_alphas,
            eps=self.eps,
            standardize=self.standardize,
        )

    def split(self, n_rows: int) -> Parts:
        """Split the rows; without a path there is nothing to validate."""
        return heldout.split(
            n_rows,
            validation=self.validation_size if self.has_path else 0.0,
            test=self.test_size,
            seed=self.seed,
        )


def version() -> str:
    """Tell the version of the installed distribution."""
    try:
        return metadata.version("fastreg-solvers")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def fit(options: FitOptions) -> None:
    """Do ``fastreg fit``."""
    table = read_table(options.data, options.file_format, decimal_comma=options.decimal_comma)
    target, y, table = table.split_off(options.target, "--target")
    weight = None
    if options.weights is not None:
        _, weight, table = table.split_off(options.weights, "--weights")
    table = table.without(options.drop).categorical(options.categorical)
    parts = options.split(len(y))
    if np.ptp(y[parts.train]) == 0.0:
        raise UserError(f"--target {target}: all values are {y[parts.train][0]:g}")
    if weight is not None:
        heldout.check_weights(weight, parts, f"--weights {options.weights}")
    console = Screen()
    X, names, encoder = _design(table, parts, options)
    console.print(_opening(options, target, parts, len(names), encoder))
    data = Data(X=X, y=y, sample_weight=weight, parts=parts)
    with _progress(data, options.plan) as on_step:
        try:
            with np.errstate(all="ignore"):  # what overflows is not finite, and refused
                comparison = compare.compare(data, options.plan, on_step=on_step)
        except (ValueError, TypeError) as error:
            raise UserError(f"this cannot be fitted: {first_line(error)}") from error
    console.print_table(report.table(comparison))
    for sentence in report.sentences(comparison, target):
        console.print(sentence)
    _write_all(comparison, options, names, encoder, table, target, console)


def predict(
    model_path: str, source: str, file_format: str | None, decimal_comma: bool, out: str | None
) -> None:
    """Do ``fastreg predict``."""
    check_outputs({"--out": out}, {"MODEL": model_path, "DATA": source})
    model = load_model(model_path)
    values = model.predict(read_table(source, file_format, decimal_comma=decimal_comma))
    quoted = f'"{model.target}"' if set(model.target) & set(',"\n') else model.target
    lines = [quoted, *map(repr, values.tolist()), ""]
    raw = "\n".join(lines).encode()
    if out is None:
        write_output(raw)
        return
    write_whole(out, raw)
    Screen().print(f"{count(len(values), 'prediction')} of {model.target} written to {out}")


def show_data(name: str | None, out: str | None) -> None:
    """Do ``fastreg data``."""
    console = Screen()
    if name is not None:
        raw = read_shipped(name.removeprefix("@"))
        if out is None:
            write_output(raw)
        else:
            write_whole(out, raw)
            console.print(f"Data set written to {out}", soft_wrap=True)
        return
    if out is not None:
        raise UserError("--out needs the name of a data set, as in: fastreg data bikes --out FILE")
    for label, about in catalogue().items():
        console.print(f"@{label}  {about['title']}")
        for key in ("rows", "target", "licence", "source"):
            console.print(f"  {key}: {about[key]}")


def _design(
    table: Table, parts: Parts, options: FitOptions
) -> tuple[Any, list[str], Encoder | None]:
    """Make the design matrix, the names of its columns, and what makes it again for new rows."""
    if table.frame is None:
        if options.degree > 1:
            raise UserError(f"--degree needs named columns, and {table.source} is a sparse matrix")
        matrix = cast(Any, table.matrix).tocsr()
        if matrix.shape[1] == 0:
            raise UserError(f"{table.source} has no column to predict from")
        return matrix, [f"x{j}" for j in table.columns_of_file], None
    encoder = learn(
        table.frame,
        parts.fitted,
        degree=options.degree,
        impute=options.impute,
        max_levels=options.max_levels,
    )
    return encoder.transform(table.frame), encoder.names(), encoder


def _opening(
    options: FitOptions, target: str, parts: Parts, width: int, encoder: Encoder | None
) -> str:
    n_rows = len(parts.fitted) + len(parts.test)
    shares = [f"{len(parts.train)} to train"]
    if len(parts.validation):
        shares.append(f"{len(parts.validation)} to choose alpha")
    if len(parts.test):
        shares.append(f"{len(parts.test)} to test")
    degree = f" (products of up to {options.degree} columns)" if options.degree > 1 else ""
    return (
        f"{target} from {count(width, 'feature')}{degree} of {options.data}:"
        f" {count(n_rows, 'row')}, {', '.join(shares)}.{_categories(encoder)}"
    )


def _categories(encoder: Encoder | None) -> str:
    """Name the columns that were taken for text."""
    columns = () if encoder is None else encoder.columns
    names = [column.name for column in columns if column.kind == "text"]
    if not names:
        return ""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f" Text, one 0/1 feature per value: {', '.join(names[:8])}{more}."


@contextmanager
def _progress(data: Data, plan: Plan) -> Iterator[Callable[[str], None]]:
    """Show a bar on standard error, if that is a terminal and the work is long."""
    steps = len(plan.penalties) + 1
    length = plan.n_alphas if plan.alpha is None else 10
    entries = data.X.nnz if hasattr(data.X, "nnz") else data.X.size
    console = Screen(stderr=True)
    if not console.is_terminal or float(entries) * length * steps < LONG_WORK:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)
        begun = False

        def on_step(name: str) -> None:
            nonlocal begun
            progress.update(task, advance=float(begun), description=f"fitting {name}")
            begun = True

        yield on_step


def _write_all(
    comparison: Comparison,
    options: FitOptions,
    names: list[str],
    encoder: Encoder | None,
    table: Table,
    target: str,
    console: Screen,
) -> None:
    written = []
    if options.coef is not None:
        raw = report.write_coefficients(comparison, names, target, options.coef)
        write_whole(options.coef, raw)
        written.append(f"Coefficients: {options.coef}")
    if options.model is not None:
        best = comparison.best
        save_model(options.model, _model(best, comparison, encoder, table, target))
        why = ", which has the least validation error" if len(comparison.outcomes) > 1 else ""
        written.append(f"Model: {options.model} ({best.name}{why})")
    if options.plot is not None:
        pictures.draw(
            comparison,
            names,
            path=options.plot,
            style=options.style,
            target=target,
            source=options.data,
        )
        written.append(f"Picture: {options.plot}")
    for line in written:
        console.print(line, soft_wrap=True)


def _model(
    outcome: Outcome, comparison: Comparison, encoder: Encoder | None, table: Table, target: str
) -> Model:
    result = outcome.result
    support = np.flatnonzero(result.coef)
    facts: dict[str, Any] = {
        "made_by": f"fastreg {version()}",
        "rows_fitted": len(comparison.data.parts.fitted),
        "rows_tested": len(comparison.data.parts.test),
        "status": result.message,
        "relative_gap": float(result.relative_gap),
        "test_error": float(outcome.test_error) if len(comparison.data.parts.test) else None,
    }
    places, n_features = np.arange(len(result.coef), dtype=np.intp), len(result.coef)
    if table.matrix is not None:
        places, n_features = table.columns_of_file, table.n_columns_of_file
    left_out = np.setdiff1d(np.arange(n_features), places).tolist()
    return Model(
        target=target,
        penalty=outcome.penalty,
        alpha=float(result.alpha),
        l1_ratio=float(result.l1_ratio),
        intercept=float(result.intercept),
        encoder=None if encoder is None else encoder.keep(support.tolist()),
        n_features=n_features,
        support=places[support],
        left_out=tuple(left_out),
        coef=np.asarray(result.coef[support], dtype=np.float64),
        facts=facts,
    )
