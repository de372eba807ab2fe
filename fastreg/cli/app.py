"""The commands and their options; what they do is in the modules beside this one."""

import math
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from fastreg.cli import work
from fastreg.cli.errors import UserError
from fastreg.cli.screen import forget_output

EXAMPLES = """\b
Examples:
  fastreg fit @bikes --degree 2 --plot bikes.png
  fastreg fit houses.csv --target price --penalty l1 --model price.frm
  fastreg fit flats.parquet --target rent --impute median --coef rent.csv
  fastreg fit words.svm.gz --penalty elasticnet --l1-ratio 0.9
"""

PREDICT_EXAMPLES = """\b
Examples:
  fastreg predict price.frm new.csv --out prices.csv
  fastreg predict price.frm new.parquet > prices.csv
"""

FILES = """\b
DATA is a file, or a data set that is shipped (@bikes; see 'fastreg data'):
  .csv .tsv      one row of names first, empty lines skipped; separated by commas,
                 semicolons, tabs or bars; .gz too, here and below
  .parquet
  .npz           arrays X and y (and feature_names), or one array per column
  .svm .libsvm   the target is in the file (needs scikit-learn)
  .mtx           Matrix Market; --target INDEX takes that column of the matrix
                 (0 is the first, -1 the last), --target FILE one number per row
Text columns become 0/1 features 'column=value', one for every value but the
first in sorted order. Missing values (empty, NA, NaN, null, ?) are refused
unless --impute says how to fill them in.
"""


class _Command(click.Command):
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


def _option(group: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=_Option, group=group, **attributes)


_format = _option(
    "Data",
    "--format",
    "file_format",
    type=click.Choice(work.FORMATS),
    metavar="FORMAT",
    help=f"Of DATA, when its name does not tell: {', '.join(work.FORMATS)}.",
)


_decimal_comma = _option(
    "Data", "--decimal-comma", is_flag=True, help="Numbers are written 1,5 and not 1.5 (csv, tsv)."
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=EXAMPLES,
    invoke_without_command=True,
)
@click.version_option(work.version(), message="fastreg %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Fit L1, L2 and elastic-net regression to a data file, with a proof in every answer."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command(cls=_Command, epilog=f"{FILES}\n{EXAMPLES}")
@click.argument("data")
@_option("Data", "-t", "--target", metavar="COLUMN", help="What to predict.")
@_format
@_decimal_comma
@_option("Data", "--weights", metavar="COLUMN", help="How much each row counts (0 or more).")
@_option("Data", "--drop", metavar="COLUMN", multiple=True, help="Leave out; may be repeated.")
@_option(
    "Data",
    "--categorical",
    metavar="COLUMN",
    multiple=True,
    help="Take its numbers for names, not amounts; may be repeated.",
)
@_option(
    "Data",
    "--impute",
    type=click.Choice(["mean", "median"]),
    metavar="BY",
    help="Fill in missing numbers by mean or median, and missing text by its most frequent value.",
)
@_option(
    "Data",
    "--max-levels",
    type=_Count(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Refuse text columns with more values.",
)
@_option(
    "Model",
    "-p",
    "--penalty",
    type=click.Choice(["all", "l1", "l2", "elasticnet", "none"]),
    default="all",
    show_default=True,
    metavar="NAME",
    help="l1, l2, elasticnet, none (least squares), or all: compare the first three.",
)
@_option(
    "Model",
    "--l1-ratio",
    type=_Number(0.0, 1.0),
    default=0.5,
    show_default=True,
    metavar="R",
    help="Of the elastic net: 1 is L1, 0 is L2; on a path, of the target in standard deviations.",
)
@_option(
    "Model",
    "-a",
    "--alpha",
    type=_Number(0.0),
    metavar="A",
    help="Strength of the penalty; by default chosen from a path.",
)
@_option(
    "Model",
    "--n-alphas",
    type=_Count(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Length of the path.",
)
@_option(
    "Model",
    "--eps",
    type=_Number(1e-15, 1.0, max_open=True),
    default=1e-3,
    show_default=True,
    metavar="E",
    help="Smallest alpha of the path / largest (L2: its square).",
)
@_option(
    "Model",
    "-d",
    "--degree",
    type=_Count(1, 20),
    default=1,
    show_default=True,
    metavar="D",
    help="Add products of up to D columns; numbers are first centred and scaled to [-1, 1].",
)
@_option(
    "Model",
    "--standardize/--no-standardize",
    default=True,
    help="Penalise features as if all had standard deviation 1 (the default), or as they are.",
)
@_option(
    "Held-out rows",
    "--test-size",
    type=_Number(0.0, 1.0, max_open=True),
    default=0.2,
    show_default=True,
    metavar="F",
    help="Share of the rows that only measures the error; 0 for none.",
)
@_option(
    "Held-out rows",
    "--validation-size",
    type=_Number(0.0, 1.0, max_open=True),
    default=0.2,
    show_default=True,
    metavar="F",
    help="Share of the rows that chooses alpha. The final model is fitted to these, too.",
)
@_option(
    "Held-out rows",
    "--seed",
    type=_Count(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Which rows fall into which part.",
)
@_option("Output", "--plot", metavar="PICTURE", help="Draw the paths (.png, .svg, .pdf).")
@_option(
    "Output",
    "--style",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    metavar="STYLE",
    help="Of the picture: light or dark.",
)
@_option("Output", "--coef", metavar="FILE", help="Write the coefficients (.csv, .json).")
@_option("Output", "-m", "--model", metavar="FILE", help="Write the model for 'fastreg predict'.")
def fit(**options: Any) -> None:
    """Fit penalised least squares to DATA and say how well it predicts.

    The rows are split at random: most train the models, some choose alpha, and the test rows are
    used once, for the errors that are shown: the root mean squared error, and R², its square
    against that of the mean of the other rows. With '--penalty all' the three penalties are
    compared, and --model keeps the one that does best on the rows that choose alpha.

    Gap is the relative duality gap, which bounds what a better answer could gain, and Time that
    of the whole path and the final fit.
    """
    ctx = click.get_current_context()
    sources = {name: ctx.get_parameter_source(name) for name in options}
    given = frozenset(name for name in sources if sources[name] is ParameterSource.COMMANDLINE)
    work.fit(work.FitOptions(**options, given=given))


@cli.command(
    cls=_Command, epilog=PREDICT_EXAMPLES, short_help="Predict from new data with a saved model."
)
@click.argument("model")
@click.argument("data")
@_format
@_decimal_comma
@_option(
    "Output",
    "-o",
    "--out",
    metavar="FILE",
    help="Write a CSV file; by default to standard output.",
)
def predict(
    model: str, data: str, file_format: str | None, decimal_comma: bool, out: str | None
) -> None:
    """Predict the target for every row of DATA with a MODEL of 'fastreg fit --model'.

    DATA must have the columns that the model was fitted to, in any order; others are ignored.
    """
    work.predict(model, data, file_format, decimal_comma, out)


@cli.command(cls=_Command)
@click.argument("name", required=False)
@_option("Output", "-o", "--out", metavar="FILE", help="Write the data set as a CSV file.")
def data(name: str | None, out: str | None) -> None:
    """List the data sets that are shipped, or write one as a CSV file.

    They are used by name: 'fastreg fit @bikes'.
    """
    work.show_data(name, out)


def run(argv: list[str]) -> int:
    """Run a command; turn what the user can put right into one sentence."""
    try:
        cli.main(args=argv, prog_name="fastreg", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "fastreg"
        message = " ".join(error.format_message().split()).rstrip(".")
        return _complain(f"{message[:1].lower()}{message[1:]} (see '{command} --help')")
    except click.ClickException as error:
        return _complain(error.format_message())
    except UserError as error:
        return _complain(str(error))
    except MemoryError:
        return _complain("there is not enough memory for this")
    except (click.Abort, KeyboardInterrupt):
        click.echo("fastreg: interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of a help page has left, as with `| head`
        forget_output()
    except OSError as error:  # files are met with a UserError; this is standard output
        forget_output()
        return _complain(f"cannot write the output: {(error.strerror or str(error)).lower()}")
    return 0


def _complain(message: str) -> int:
    sentence = " ".join(message.split()).rstrip(".")
    click.echo(f"fastreg: {sentence}", err=True)
    return 2
