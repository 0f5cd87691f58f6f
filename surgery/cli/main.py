"""The command line: it parses, calls one library function, and renders. stdout is data, stderr is talk.

TensorFlow is never imported here; the functions that need it do so when they run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import surgery
from surgery.cli.edit import edit
from surgery.cli.extract import extract
from surgery.cli.graph import graph, tap
from surgery.cli.options import (
    ASSUME,
    ATOL,
    JSON,
    MODULE,
    NONFINITE,
    OVERWRITE,
    RTOL,
    VERBOSE,
    Command,
    assumed,
    chooses_outputs,
    reads_texts,
    reports_errors,
)
from surgery.cli.preprocess import preprocess
from surgery.cli.serving import serving
from surgery.cli.terminal import show, talk, working
from surgery.errors import UsageError

EPILOG_EXIT_CODES = """\b
Exit codes: 0 done, 2 wrong usage, 3 not a module or damaged, 4 not explained by
any weight table, 5 parity failed, 6 cannot write the destination."""


@click.group(
    epilog=EPILOG_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(surgery.__version__, prog_name="surgery")
def main() -> None:
    """Opens TF Hub's BERT modules: look inside, rebuild, verify, re-export with every block output named.

    MODULE is a folder with a saved_model.pb, a .tar.gz or .tgz of it, or a Hub handle (a URL).
    """


@main.command(
    cls=Command,
    short_help="Show what a SavedModel is and how it is called.",
    examples=(
        "surgery inspect bert_en_uncased_L-12_H-768_A-12.tar.gz",
        "surgery inspect ./module --signature serving_default",
        "surgery inspect ./module --json | jq .explanation",
    ),
)
@MODULE
@JSON
@click.option("--signature", metavar="NAME", help="Show this signature only.")
@click.option("--variables", is_flag=True, help="List every variable.")
@reports_errors
def inspect(module: str, as_json: bool, signature: str | None, variables: bool) -> None:
    """Show what a SavedModel is: signatures, calls, files, architecture and its evidence. Needs no TensorFlow."""
    from surgery.reports import data as report

    found = surgery.inspect(module)
    names = {s.name for graph in found.module.meta_graphs for s in graph.signatures}
    if signature is not None and signature not in names:
        raise UsageError(
            f"--signature {signature}: {found.module.name} has no such signature",
            hint="it has " + (", ".join(sorted(names)) or "none"),
        )
    show(report.inspection_data(found, signature=signature, variables=variables), "inspection", as_json)


@main.command(
    cls=Command,
    short_help="Show what convert would do, weight by weight.",
    examples=("surgery plan ./module", "surgery plan ./module --json | jq '.dropped'"),
)
@MODULE
@chooses_outputs
@ASSUME
@JSON
@reports_errors
def plan(module: str, as_json: bool, assume: tuple[str, ...], **outputs: Any) -> None:
    """Show what convert would do with every variable, and what it would write. Needs no TensorFlow."""
    from surgery.reports import data as report

    show(report.plan_data(surgery.plan(module, assume=assumed(assume), **outputs)), "plan", as_json)


@main.command(
    cls=Command,
    short_help="List the sublayers that convert can add as outputs.",
    examples=("surgery taps ./module", "surgery taps ./module --batch 1 --length 512 --json"),
)
@MODULE
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Rows of a request.")
@click.option("--length", type=click.IntRange(min=1), default=128, show_default=True, help="Tokens of a row.")
@ASSUME
@JSON
@reports_errors
def taps(module: str, batch: int, length: int, assume: tuple[str, ...], as_json: bool) -> None:
    """List what --tap can name in a module: shape, meaning, and bytes per reply of one block. Needs no TensorFlow."""
    from surgery.reports import data as report

    show(report.taps_data(surgery.plan(module, assume=assumed(assume)), batch, length), "taps", as_json)


@main.command(
    cls=Command,
    short_help="Rebuild, verify and re-export a module.",
    examples=(
        "surgery convert ./module                      # into exported/module/1/",
        "surgery convert module.tar.gz served/bert/7 --overwrite",
        "surgery convert https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
        "surgery convert ./module --tap attention_probs --feature text=mean@-4:/mean --depth 6",
    ),
)
@MODULE
@click.argument("destination", required=False, type=click.Path(path_type=Path))
@chooses_outputs
@click.option("--text", is_flag=True, help="Also write a SavedModel that takes strings, beside DESTINATION.")
@reads_texts
@click.option("--warmup", is_flag=True, help="Also write the requests that TensorFlow Serving runs first.")
@ATOL
@RTOL
@OVERWRITE
@click.option("--keep-failed", is_flag=True, help="Keep the staged export when it fails, to look at.")
@NONFINITE
@ASSUME
@JSON
@VERBOSE
@reports_errors
def convert(
    module: str,
    destination: Path | None,
    atol: float | None,
    rtol: float | None,
    overwrite: bool,
    keep_failed: bool,
    allow_nonfinite: bool,
    assume: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    **outputs: Any,
) -> None:
    """Rebuild the encoder, verify it, and write a SavedModel that names every block output.

    Without DESTINATION it goes to exported/<module name>/<next version>/, which TensorFlow Serving can watch. Nothing
    is published unless the reloaded export computes what the module computes.
    """
    from surgery.reports import data as report

    with working(verbose) as progress:
        done = surgery.convert(
            module,
            destination,
            atol=atol,
            rtol=rtol,
            overwrite=overwrite,
            keep_failed=keep_failed,
            allow_nonfinite=allow_nonfinite,
            assume=assumed(assume),
            progress=progress,
            **outputs,
        )
    data = report.conversion_data(done)
    show(data if as_json else data["parity"], "parity", as_json)
    if not as_json:
        for place in (done.destination, done.text_destination):
            if place is not None:
                warmed = f", with {done.warmups[place]} warm-up requests" if place in done.warmups else ""
                click.echo(f"wrote {place}{warmed}")


@main.command(
    cls=Command,
    short_help="Compare an export with its module.",
    examples=("surgery verify ./module exported/module/1",),
)
@MODULE
@click.argument("exported", type=click.Path(path_type=Path))
@ATOL
@RTOL
@NONFINITE
@ASSUME
@JSON
@VERBOSE
@reports_errors
def verify(
    module: str,
    exported: Path,
    atol: float | None,
    rtol: float | None,
    allow_nonfinite: bool,
    assume: tuple[str, ...],
    as_json: bool,
    verbose: bool,
) -> None:
    """Compare any export with its module: outputs, weights and contract. Exits with 5 when they differ."""
    from surgery.reports import data as report

    with working(verbose) as progress:
        found = surgery.verify(
            module,
            exported,
            atol=atol,
            rtol=rtol,
            allow_nonfinite=allow_nonfinite,
            assume=assumed(assume),
            progress=progress,
        )
    data = report.verification_data(found)
    show(data if as_json else data["parity"], "parity", as_json)
    for note in found.notes if not as_json else ():
        click.echo(f"note: {note}")
    if not found.report.passed:
        talk().print(f"error: {found.report.failure()}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(5)


main.add_command(edit)
main.add_command(extract)
main.add_command(preprocess)
main.add_command(serving)
main.add_command(graph)
main.add_command(tap)
