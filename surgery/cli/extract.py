"""surgery extract: features of a corpus as Parquet."""

from __future__ import annotations

from typing import Any

import click

import surgery
from surgery.batching import BATCH_TOKENS
from surgery.cli.options import JSON, LIMIT, TRUST, VERBOSE, Command, paths, reports_errors
from surgery.cli.terminal import show, working

BEAM = "surgery.beam_options"


class WithBeamOptions(Command):
    """A command that passes the arguments after `--` to Apache Beam."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Splits at the first `--`, because click would take the arguments after it for inputs."""
        split = args.index("--") if "--" in args else len(args)
        ctx.meta[BEAM] = tuple(args[split + 1 :])
        return super().parse_args(ctx, args[:split])


@click.command(
    cls=WithBeamOptions,
    short_help="Write a corpus's features as Parquet.",
    options_metavar="[OPTIONS]",
    examples=(
        "surgery extract exported/bert_text/1 corpus.txt --output features --outputs pooled_output",
        "surgery extract exported/bert_text/1 'texts/*.txt.gz' --output features --processes 8",
        "surgery extract exported/bert_text/1 docs.parquet --column body --id-column doc --output features",
        "surgery extract /mnt/bert_text/1 '/mnt/texts/*.gz' --output /mnt/features"
        " -- --runner=DaskRunner --dask_client_address=tcp://HOST:8786",
    ),
)
@click.argument("exported", metavar="EXPORTED", shell_complete=paths)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, shell_complete=paths)
@click.option(
    "--output",
    "destination",
    metavar="DIR",
    required=True,
    shell_complete=paths,
    help="The folder to write; it appears when complete.",
)
@click.option("--signature", metavar="NAME", help="A signature that takes strings.  [default: by --outputs, else text]")
@click.option("--outputs", metavar="NAME,NAME", help="Compute and write these only.  [default: all]")
@click.option(
    "--column", "columns", multiple=True, metavar="[INPUT=]COLUMN", help="Of Parquet files: the column with the texts."
)
@click.option("--id-column", metavar="COLUMN", help="Of Parquet files: copy this column to the output as id.")
@click.option("--text/--no-text", "with_text", default=True, help="Write each text, or only its file and line.")
@click.option(
    "--processes", type=click.IntRange(min=1), metavar="N", help="Workers on this machine.  [default: one per core]"
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    default=BATCH_TOKENS,
    show_default=True,
    help="The most tokens of a batch.",
)
@click.option("--overwrite", is_flag=True, help="Replace DIR when the new one is complete.")
@TRUST
@LIMIT
@JSON
@VERBOSE
@click.pass_context
@reports_errors
def extract(ctx: click.Context, outputs: str | None, as_json: bool, verbose: bool, **options: Any) -> None:
    """Run a text signature over texts, and write its outputs as sharded Parquet, without padding.

    INPUT is a text file with one text per line (.gz or not), a .parquet file, or a glob of such files. Options for
    Apache Beam follow after --. Without a --runner there, it runs on this machine. The workers of a --runner open
    EXPORTED by the same path.
    """
    chosen = None if outputs is None else [name.strip() for name in outputs.split(",") if name.strip()]
    with working(verbose, unit="texts") as progress:
        done = surgery.extract(outputs=chosen, beam_options=ctx.meta[BEAM], progress=progress, **options)
    show(done, as_json)
