"""What the commands do: read, fit, tell, write."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fastreg.cli import compare, pictures, report
from fastreg.cli.compare import Comparison, Data, Outcome, Parts, Plan
from fastreg.cli.errors import UserError, count, first_line
from fastreg.cli.features import Encoder, learn
from fastreg.cli.modelfile import Model, load_model, save_model, write_whole
from fastreg.cli.readers import FORMATS, catalogue, read_shipped, read_table
from fastreg.cli.tables import Table

__all__ = ["FORMATS", "FitOptions", "fit", "predict", "show_data", "version"]

#: Multiplications on the way (roughly) from which a progress bar is shown: about two seconds.
LONG_WORK = 2e9


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The options of ``fastreg fit``; see its help."""

    data: str
    target: str | None
    file_format: str | None
    weights: str | None
    drop: tuple[str, ...]
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
        path = self.alpha is None and self.penalty != "none"
        if self.plot is not None:
            if not path:
                raise UserError(
                    "--plot draws a path of alphas, and there is none with --alpha or"
                    " --penalty none"
                )
            pictures.check_picture_path(self.plot)
        if path and not self.validation_size:
            raise UserError("without --validation-size the strength must be given: --alpha")
        if self.test_size + self.validation_size >= 1.0:
            raise UserError("--test-size and --validation-size leave no rows to train on")
        if self.coef is not None:
            report.check_coefficient_path(self.coef)
        for option, path_out in (("--coef", self.coef), ("--model", self.model)):
            if path_out is not None and Path(path_out).is_dir():
                raise UserError(f"cannot write {path_out}: it is a folder")
            if path_out is not None and not Path(path_out).parent.is_dir():
                raise UserError(f"{option} {path_out}: there is no folder {Path(path_out).parent}")

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
        path = self.alpha is None and self.penalty != "none"
        return compare.split(
            n_rows,
            validation=self.validation_size if path else 0.0,
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
    table = read_table(options.data, options.file_format)
    target, y, table = table.split_off(options.target, "--target")
    weight = None
    if options.weights is not None:
        _, weight, table = table.split_off(options.weights, "--weights")
    table = table.without(options.drop)
    parts = options.split(len(y))
    if np.ptp(y[parts.train]) == 0.0:
        raise UserError(f"--target {target}: all values are {y[parts.train][0]:g}")
    if weight is not None:
        compare.check_weights(weight, parts)
    console = Console(highlight=False)
    X, names, encoder = _design(table, parts, options)
    console.print(_opening(options, target, parts, len(names), encoder), markup=False)
    data = Data(X=X, y=y, sample_weight=weight, parts=parts)
    with _progress(data, options.plan) as on_step:
        try:
            comparison = compare.compare(data, options.plan, on_step=on_step)
        except (ValueError, TypeError) as error:
            raise UserError(f"this cannot be fitted: {first_line(error)}") from error
    console.print(report.table(comparison))
    for sentence in report.sentences(comparison, target):
        console.print(sentence, markup=False)
    _write_all(comparison, options, names, encoder, table, target, console)


def predict(model_path: str, source: str, file_format: str | None, out: str | None) -> None:
    """Do ``fastreg predict``."""
    model = load_model(model_path)
    values = model.predict(read_table(source, file_format))
    quoted = f'"{model.target}"' if set(model.target) & set(',"\n') else model.target
    lines = [quoted, *map(repr, values.tolist()), ""]
    raw = "\n".join(lines).encode()
    if out is None:
        sys.stdout.write(raw.decode())
        return
    write_whole(out, raw)
    Console(highlight=False).print(
        f"{count(len(values), 'prediction')} of {model.target} written to {out}", markup=False
    )


def show_data(name: str | None, out: str | None) -> None:
    """Do ``fastreg data``."""
    console = Console(highlight=False)
    if name is not None:
        raw = read_shipped(name.removeprefix("@"))
        if out is None:
            sys.stdout.write(raw.decode())
        else:
            write_whole(out, raw)
            console.print(f"Data set written to {out}", markup=False, soft_wrap=True)
        return
    if out is not None:
        raise UserError("--out needs the name of a data set, as in: fastreg data bikes --out FILE")
    for label, about in catalogue().items():
        console.print(f"@{label}  {about['title']}", markup=False)
        for key in ("rows", "target", "licence", "source"):
            console.print(f"  {key}: {about[key]}", markup=False)


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
    console = Console(stderr=True, highlight=False)
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
    console: Console,
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
        console.print(line, markup=False, soft_wrap=True)


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
