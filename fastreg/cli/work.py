"""What the commands do: read, fit, tell, write."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

import numpy as np

from fastreg.cli import compare as fitting
from fastreg.cli import heldout, page, pictures, points, report
from fastreg.cli.coefficients import coefficients
from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.errors import UserError, count, first_line
from fastreg.cli.features import Encoder, learn
from fastreg.cli.files import check_outputs, write_whole
from fastreg.cli.heldout import Data, Parts, Sample
from fastreg.cli.judge import root_mean
from fastreg.cli.modelfile import Model, load_model, save_model
from fastreg.cli.page import Section
from fastreg.cli.progress import progress
from fastreg.cli.readers import catalogue, read_shipped, read_table
from fastreg.cli.request import Request
from fastreg.cli.screen import Screen, write_output
from fastreg.cli.tables import Table

__all__ = ["compare", "fit", "predict", "show_data", "validate", "version"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The data of a request, ready to be fitted to.

    Attributes
    ----------
    target : str
        Its name.
    names : list of str
        Of the features.
    encoder : Encoder or None
        Makes them; None: they are the columns of a sparse matrix.
    table : Table
        Without the target, weights and groups.
    """

    request: Request
    target: str
    data: Data
    names: list[str]
    encoder: Encoder | None
    table: Table

    @property
    def sizes(self) -> dict[int, int] | None:
        """How many features, the first ones, each degree has; None: there is one degree."""
        degrees = self.request.degrees
        if len(degrees) == 1 or self.encoder is None:
            return None
        lengths = np.array([len(term) for term in self.encoder.terms])
        return {degree: int(np.count_nonzero(lengths <= degree)) for degree in degrees}


def version() -> str:
    """Tell the version of the installed distribution."""
    try:
        return metadata.version("fastreg-solvers")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def compare(request: Request) -> None:
    """Do ``fastreg compare``."""
    problem, comparison, console = _fitted(request)
    grid = report.models(comparison)
    console.print_table(grid.for_terminal())
    features = report.features(comparison, problem.names)
    if features.rows:
        console.print("The effect of one standard deviation of a feature, where it is largest:")
        console.print_table(features.for_terminal())
    _finish(problem, comparison, console, [Section("models", "The models", grid)])


def validate(request: Request) -> None:
    """Do ``fastreg validate``."""
    problem, comparison, console = _fitted(request)
    (outcome,) = comparison.outcomes
    tables = [Section("points", "Two points of the curve", points.table(comparison, outcome))]
    if outcome.degree is not None:
        by_degree = points.degrees(comparison, outcome)
        title = "The best strength for each degree" if request.has_path else "Each degree"
        tables.append(Section("degrees", title, by_degree))
    console.print_table(tables[0].grid.for_terminal())
    for table in tables[1:]:
        console.print(f"{table.title}:")
        console.print_table(table.grid.for_terminal())
    _finish(problem, comparison, console, tables)


def fit(request: Request) -> None:
    """Do ``fastreg fit``."""
    problem, comparison, console = _fitted(request)
    console.print_table(report.models(comparison).for_terminal())
    _finish(problem, comparison, console, [])


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


def _fitted(request: Request) -> tuple[Problem, Comparison, Screen]:
    """Read, say what was read, fit."""
    with progress(2) as on_step:
        problem = _read(request, on_step)
    console = Screen()
    for sentence in opening(problem):
        console.print(sentence)
    n_parts = request.folds * len(request.degrees) + 1  # the last one: all rows
    with progress(len(request.plan.penalties), n_parts) as on_step:
        try:
            with np.errstate(all="ignore"):  # what overflows is not finite, and refused
                comparison = fitting.compare(
                    problem.data,
                    request.plan,
                    sizes=problem.sizes,
                    on_step=lambda name: on_step(f"fitting {name}"),
                    on_part=on_step.part,
                )
        except (ValueError, TypeError) as error:
            raise UserError(f"this cannot be fitted: {first_line(error)}") from error
    return problem, comparison, console


def _read(request: Request, on_step: Callable[[str], None]) -> Problem:
    on_step("reading")
    table = read_table(request.data, request.file_format, decimal_comma=request.decimal_comma)
    target, y, table = table.split_off(request.target, "--target")
    weight = groups = None
    if request.weights is not None:
        _, weight, table = table.split_off(request.weights, "--weights")
    if request.groups is not None:
        groups, table = table.split_off_labels(request.groups, "--groups")
    table = table.without(request.drop).categorical(request.categorical)
    parts = heldout.split(
        len(y),
        n_folds=request.folds,
        test=request.test_size,
        seed=request.seed,
        groups=groups,
        time_ordered=request.time_ordered,
    )
    if np.ptp(y[parts.fitted]) == 0.0:
        raise UserError(f"--target {target}: all values are {y[parts.fitted][0]:g}")
    if weight is not None:
        heldout.check_weights(weight, parts, f"--weights {request.weights}")
    on_step("making features")
    X, names, encoder = _design(table, parts, request)
    whole = Sample(X=X, y=y, sample_weight=weight)
    return Problem(
        request=request,
        target=target,
        data=Data.of(whole, parts),
        names=names,
        encoder=encoder,
        table=table,
    )


def _design(table: Table, parts: Parts, request: Request) -> tuple[Any, list[str], Encoder | None]:
    """Make the design matrix, the names of its columns, and what makes it again for new rows."""
    if table.frame is None:
        if request.degree > 1:
            raise UserError(f"--degree needs named columns, and {table.source} is a sparse matrix")
        for name in ("impute", "max_levels"):
            if name in request.given:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is about named columns, and {table.source} is a matrix")
        matrix = cast(Any, table.matrix)
        if matrix.shape[1] == 0:
            raise UserError(f"{table.source} has no column to predict from")
        return matrix, [f"x{j}" for j in table.columns_of_file], None
    encoder = learn(
        table.frame,
        parts.fitted,
        degree=request.degree,
        impute=request.impute,
        max_levels=request.max_levels,
    )
    return encoder.transform(table.frame), encoder.names(), encoder


def opening(problem: Problem) -> list[str]:
    """Say what is fitted to what, and which rows serve for what."""
    request, data = problem.request, problem.data
    degree = ""
    if request.degree > 1:
        low, high = request.degrees[0], request.degrees[-1]
        span = f"{low} to {high}" if low < high else f"up to {high}"
        degree = f" (products of {span} columns)"
    rows = f"{count(len(data.fitted) + len(data.test), 'row')}"
    if len(data.test):
        rows += f", {len(data.test)} of them kept apart for the test"
    text = (
        f"{problem.target} from {count(len(problem.names), 'feature')}{degree} of {request.data}:"
        f" {rows}.{_categories(problem.encoder)}"
    )
    return [text, *([_folds(problem)] if data.folds is not None else [])]


def _folds(problem: Problem) -> str:
    request, folds = problem.request, problem.data.folds
    assert folds is not None
    if request.time_ordered:
        how = f"{len(folds)} in the order of time, each predicted from the rows before it"
    elif request.groups is not None:
        how = f"{len(folds)} of whole groups of {request.groups}, drawn by seed {request.seed}"
    else:
        how = f"{len(folds)}, drawn by seed {request.seed}"
    text = f"Folds: {how}."
    learned = []
    if request.standardize and request.penalty != "none":
        text += " Each model is scaled on the rows that it is fitted to."
    if request.impute is not None:
        learned.append("what is filled in")
    if request.degree > 1:
        learned.append("the range of each column in products")
    if learned:
        text += (
            f" {' and '.join(learned).capitalize()} comes from the inputs of all folds, never from"
            f" {problem.target}."
        )
    return text


def _categories(encoder: Encoder | None) -> str:
    """Name the columns that were taken for text."""
    columns = () if encoder is None else encoder.columns
    names = [column.name for column in columns if column.kind == "text"]
    if not names:
        return ""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f" Text, a 0/1 feature for each value but the first: {', '.join(names[:8])}{more}."


def _finish(
    problem: Problem, comparison: Comparison, console: Screen, tables: list[Section]
) -> None:
    """Print the sentences and write the files; `tables` are those of the page."""
    sentences = report.sentences(comparison, problem.target)
    for sentence in sentences:
        console.print(sentence)
    with progress(2) as on_step:
        written = _write_files(problem, comparison, sentences, tables, on_step)
    for line in written:
        console.print(line, soft_wrap=True)


def _write_files(
    problem: Problem,
    comparison: Comparison,
    sentences: list[str],
    tables: list[Section],
    on_step: Callable[[str], None],
) -> list[str]:
    """Write what was asked for, and say what was written."""
    request, written = problem.request, []
    if request.coef is not None:
        width = len(comparison.outcomes[0].result.coef)  # of the chosen degree
        names = problem.names[:width]
        raw = coefficients(comparison.outcomes, names, problem.target, request.coef)
        write_whole(request.coef, raw)
        written.append(f"Coefficients: {request.coef}")
    if request.model is not None:
        best = comparison.ranking[0]
        save_model(request.model, _model(best, problem))
        why = ", which has the least held-out error" if len(comparison.outcomes) > 1 else ""
        written.append(f"Model: {request.model} ({best.name}{why})")
    if request.plot is not None:
        on_step("drawing the picture")
        pictures.draw(comparison, problem.names, request, problem.target)
        written.append(f"Picture: {request.plot}")
    if request.report is not None:
        on_step("writing the report")
        raw = page.render(
            request,
            comparison,
            problem.names,
            problem.target,
            opening=opening(problem),
            tables=tables,
            sentences=sentences,
            made_by=f"fastreg {version()}",
        )
        write_whole(request.report, raw)
        written.append(f"Report: {request.report}")
    return written


def _model(outcome: Outcome, problem: Problem) -> Model:
    result, table, encoder, data = outcome.result, problem.table, problem.encoder, problem.data
    support = np.flatnonzero(result.coef)
    held_out = None
    if data.folds is not None and outcome.validation is not None:
        held_out = float(np.sqrt(outcome.validation.mean[outcome.validation.index]))
    facts: dict[str, Any] = {
        "made_by": f"fastreg {version()}",
        "rows_fitted": len(data.fitted),
        "rows_tested": len(data.test),
        "status": result.message,
        "relative_gap": float(result.relative_gap),
        "held_out_error": held_out,
        "test_error": _root(outcome.test_scores, data.test) if len(data.test) else None,
    }
    places, n_features = np.arange(len(result.coef), dtype=np.intp), len(problem.names)
    if table.matrix is not None:
        places, n_features = table.columns_of_file, table.n_columns_of_file
    known = np.arange(n_features) if table.matrix is None else places
    left_out = np.setdiff1d(np.arange(n_features), known).tolist()
    return Model(
        target=problem.target,
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


def _root(scores: Any, sample: Sample) -> float:
    return root_mean(scores, sample.weight).value
