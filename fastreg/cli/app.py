"""The commands; their options are in `options`, and what they do is in `work`."""

import sys
from typing import Any

import click
from click.core import ParameterSource

from fastreg.cli import options, work
from fastreg.cli.errors import UserError
from fastreg.cli.request import Request
from fastreg.cli.screen import forget_output

EXAMPLES = """\b
Examples:
  fastreg compare @bikes --degree 2 --report bikes.html
  fastreg compare houses.csv --target price --test-size 0.2 --model price.frm
  fastreg compare visits.csv -t cost --groups patient --folds 10
"""

VALIDATE_EXAMPLES = """\b
Examples:
  fastreg validate houses.csv --target price --selection 1se --plot price.png
  fastreg validate curve.csv -t y --penalty l2 --degree 1-12
  fastreg validate genes.csv -t dose --relax 0 --relax 0.5 --relax 1
"""

FIT_EXAMPLES = """\b
Examples:
  fastreg fit houses.csv --target price --model price.frm
  fastreg fit flats.parquet --target rent --impute median --coef rent.csv
  fastreg fit words.svm.gz --penalty elasticnet --l1-ratio 0.9 --alpha 0.1
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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=EXAMPLES,
    invoke_without_command=True,
)
@click.version_option(work.version(), message="fastreg %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """L1, L2 and elastic-net regression on a data file, with a proof in every answer."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _request(command: str, given: dict[str, Any]) -> Request:
    """Collect what the user has written, and what he has left as it is."""
    ctx = click.get_current_context()
    sources = {name: ctx.get_parameter_source(name) for name in given}
    written = frozenset(name for name in sources if sources[name] is ParameterSource.COMMANDLINE)
    typed = ctx.find_root().obj
    return Request(command=command, words=typed, given=written, **given)


@cli.command(
    cls=options.Command,
    epilog=f"{FILES}\n{EXAMPLES}",
    short_help="Which penalty predicts best? L1, L2, elastic net, least squares.",
)
@click.argument("data")
@options.columns
@options.path
@options.degree
@options.standardize
@options.rows(fewest=2)
@options.outputs(page=True, plot="Draw the models beside each other")
def compare(**given: Any) -> None:
    """Compare least squares, L2, L1 and the elastic net on the same folds of DATA.

    Each fold is predicted by models that have not seen it. The error is the root of the mean
    squared error over the folds, with its standard error. The strength of each penalty is chosen
    by that error, which then looks too good: by how much is estimated (optimism), or measured on
    rows that are kept apart (--test-size). --model keeps the model of least error.

    Kept counts the features with a coefficient, Proven zero those that are zero in every best
    answer, Size is the length of the vector of standardised coefficients against that of least
    squares, Gap bounds what a better answer could gain, relative to the mean alone.
    """
    work.compare(_request("compare", given))


@cli.command(
    cls=options.Command,
    epilog=f"{FILES}\n{VALIDATE_EXAMPLES}",
    short_help="How strong should one penalty be, and of which degree the products?",
)
@click.argument("data")
@options.columns
@options.penalty
@options.path
@options.relax
@options.degrees
@options.standardize
@options.rows(fewest=2)
@options.outputs(page=True, plot="Draw the error against alpha")
def validate(**given: Any) -> None:
    """Find the strength of one penalty, and the degree of products, by the folds of DATA.

    Told are the point of least error and the one of the one-standard-error rule: the simplest
    model whose error is within one standard error of the least. The model of --selection is the
    one that is written.
    """
    work.validate(_request("validate", given))


@cli.command(cls=options.Command, epilog=f"{FILES}\n{FIT_EXAMPLES}", short_help="Fit one penalty.")
@click.argument("data")
@options.columns
@options.penalty
@options.alpha
@options.path
@options.degree
@options.standardize
@options.rows(fewest=0)
@options.outputs(page=False, plot="Draw the path of the coefficients")
def fit(**given: Any) -> None:
    """Fit one penalty to DATA, of the strength --alpha or of the one that the folds choose.

    'fastreg compare' tells which penalty to take, 'fastreg validate' more about its strength.
    """
    work.fit(_request("fit", given))


@cli.command(
    cls=options.Command,
    epilog=PREDICT_EXAMPLES,
    short_help="Predict from new data with a saved model.",
)
@click.argument("model")
@click.argument("data")
@options.reading
@options.option(
    "Output",
    "-o",
    "--out",
    metavar="FILE",
    help="Write a CSV file; by default to standard output.",
)
def predict(
    model: str, data: str, file_format: str | None, decimal_comma: bool, out: str | None
) -> None:
    """Predict the target for every row of DATA with a MODEL that --model has written.

    DATA must have the columns that the model was fitted to, in any order; others are ignored.
    """
    work.predict(model, data, file_format, decimal_comma, out)


@cli.command(cls=options.Command)
@click.argument("name", required=False)
@options.option("Output", "-o", "--out", metavar="FILE", help="Write the data set as a CSV file.")
def data(name: str | None, out: str | None) -> None:
    """List the data sets that are shipped, or write one as a CSV file.

    They are used by name: 'fastreg compare @bikes'.
    """
    work.show_data(name, out)


def run(argv: list[str]) -> int:
    """Run a command; turn what the user can put right into one sentence."""
    try:
        cli.main(args=argv, prog_name="fastreg", standalone_mode=False, obj=tuple(argv))
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
