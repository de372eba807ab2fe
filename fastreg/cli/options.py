"""The options of the commands, in the groups that the help shows."""

import math
from collections.abc import Callable
from typing import Any

import click

from fastreg.cli.readers import FORMATS

Decorator = Callable[[Any], Any]

MAX_DEGREE = 20


class Command(click.Command):
    """A command whose help lists its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options per group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                group = parameter.group if isinstance(parameter, _Option) else "Other"
                groups.setdefault(group, []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=26)


class _Option(click.Option):
    """An option that belongs to a group of the help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Tell the default, but not the range: the error message does."""
        extra: dict[str, Any] = dict(super().get_help_extra(ctx))
        extra.pop("range", None)
        return extra


class _Number(click.FloatRange):
    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what no range does: nan is neither below nor above anything."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _Count(click.IntRange):
    name = "whole number"


def _degrees(_: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Return the degrees of ``3``, or of ``1-9``, in increasing order."""
    first, dash, last = value.partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise click.BadParameter(
            f"{value!r} is neither a degree, such as 2, nor a range, such as 1-9", param=param
        )
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= MAX_DEGREE:
        raise click.BadParameter(
            f"{value!r} is not within 1-{MAX_DEGREE}, the lower degree first", param=param
        )
    return tuple(range(low, high + 1))


def option(group: str, *names: str, **attributes: Any) -> Decorator:
    """Declare an option of a group."""
    return click.option(*names, cls=_Option, group=group, **attributes)


def together(*decorators: Decorator) -> Decorator:
    """Declare several options, in the order of the help."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


reading = together(
    option(
        "Data",
        "--format",
        "file_format",
        type=click.Choice(FORMATS),
        metavar="FORMAT",
        help=f"Of DATA, when its name does not tell: {', '.join(FORMATS)}.",
    ),
    option(
        "Data",
        "--decimal-comma",
        is_flag=True,
        help="Numbers are written 1,5 and not 1.5 (csv, tsv).",
    ),
)

columns = together(
    option("Data", "-t", "--target", metavar="COLUMN", help="What to predict."),
    reading,
    option("Data", "--weights", metavar="COLUMN", help="How much each row counts (0 or more)."),
    option("Data", "--drop", metavar="COLUMN", multiple=True, help="Leave out; may be repeated."),
    option(
        "Data",
        "--categorical",
        metavar="COLUMN",
        multiple=True,
        help="Take its numbers for names, not amounts; may be repeated.",
    ),
    option(
        "Data",
        "--impute",
        type=click.Choice(["mean", "median"]),
        metavar="BY",
        help="Fill in missing numbers by mean or median, and missing text by its most frequent"
        " value.",
    ),
    option(
        "Data",
        "--max-levels",
        type=_Count(1),
        default=100,
        show_default=True,
        metavar="N",
        help="Refuse text columns with more values.",
    ),
)

penalty = option(
    "Model",
    "-p",
    "--penalty",
    type=click.Choice(["l1", "l2", "elasticnet", "none"]),
    default="l1",
    show_default=True,
    metavar="NAME",
    help="l1, l2, elasticnet, or none: least squares.",
)

alpha = option(
    "Model",
    "-a",
    "--alpha",
    type=_Number(0.0),
    metavar="A",
    help="Strength of the penalty; by default chosen from a path by the folds.",
)

path = together(
    option(
        "Model",
        "--l1-ratio",
        "l1_ratios",
        type=_Number(0.0, 1.0, min_open=True),
        multiple=True,
        metavar="R",
        help="Of the elastic net: 1 is L1, towards 0 L2; on a path, of the target in standard"
        " deviations. May be repeated: all are tried. [default: 0.1, 0.5 and 0.9]",
    ),
    option(
        "Model",
        "--n-alphas",
        type=_Count(1, 100_000),
        default=100,
        show_default=True,
        metavar="N",
        help="Length of the path.",
    ),
    option(
        "Model",
        "--eps",
        type=_Number(1e-15, 1.0, max_open=True),
        default=1e-3,
        show_default=True,
        metavar="E",
        help="Smallest alpha of the path / largest; for L2 the square of this.",
    ),
)

relax = option(
    "Model",
    "--relax",
    "relax",
    type=_Number(0.0, 1.0),
    multiple=True,
    metavar="B",
    help="Blend each fit with least squares on the features that it keeps: 1 is the fit, 0 least"
    " squares. May be repeated: all are tried.",
)

_DEGREE = "Add products of up to D columns; numbers are first centred and scaled to [-1, 1]."

degree = option(
    "Model",
    "-d",
    "--degree",
    "degrees",
    type=_Count(1, MAX_DEGREE),
    callback=lambda ctx, param, value: (value,),
    default=1,
    show_default=True,
    metavar="D",
    help=_DEGREE,
)

degrees = option(
    "Model",
    "-d",
    "--degree",
    "degrees",
    callback=_degrees,
    default="1",
    show_default=True,
    metavar="D",
    help=f"{_DEGREE} A range, such as 1-9: the folds choose the degree, too.",
)

standardize = option(
    "Model",
    "--standardize/--no-standardize",
    default=True,
    help="Penalise features as if all had standard deviation 1 (the default), or as they are.",
)


def rows(*, fewest: int) -> Decorator:
    """Declare how rows are held out, in at least so many folds."""
    none = "; 0 for none" if fewest == 0 else ""
    return together(
        option(
            "Held-out rows",
            "-k",
            "--folds",
            type=_Count(fewest),
            default=5,
            show_default=True,
            metavar="K",
            help=f"Hold out one of K parts of the rows at a time{none}.",
        ),
        option(
            "Held-out rows",
            "--groups",
            metavar="COLUMN",
            help="Rows with the same value are never parted; the column is no feature.",
        ),
        option(
            "Held-out rows",
            "--time-ordered",
            is_flag=True,
            help="Rows are in the order of time: predict each part from those before it.",
        ),
        option(
            "Held-out rows",
            "--test-size",
            type=_Number(0.0, 1.0, max_open=True),
            default=0.0,
            show_default=True,
            metavar="F",
            help="Share of the rows that is kept apart, and only measures the error of the end.",
        ),
        option(
            "Held-out rows",
            "--seed",
            type=_Count(0),
            default=0,
            show_default=True,
            metavar="N",
            help="Which rows fall into which part.",
        ),
        option(
            "Held-out rows",
            "--selection",
            type=click.Choice(["min", "1se"]),
            default="min",
            show_default=True,
            metavar="RULE",
            help="min: least error; 1se: the simplest within one standard error of it.",
        ),
    )


def outputs(*, page: bool, plot: str) -> Decorator:
    """Declare the files that are written."""
    report = option(
        "Output",
        "--report",
        metavar="PAGE",
        help="Write all of this and the pictures as one page (.html).",
    )
    return together(
        *([report] if page else []),
        option("Output", "--plot", metavar="PICTURE", help=f"{plot} (.png, .svg, .pdf)."),
        option(
            "Output",
            "--style",
            type=click.Choice(["light", "dark"]),
            default="light",
            show_default=True,
            metavar="STYLE",
            help="Of the picture: light or dark.",
        ),
        option("Output", "--coef", metavar="FILE", help="Write the coefficients (.csv, .json)."),
        option(
            "Output", "-m", "--model", metavar="FILE", help="Write the model for 'fastreg predict'."
        ),
    )
