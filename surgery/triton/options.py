"""The command line of `scripts/serve-triton`."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

DESCRIPTION = """\
Serve an export over HTTP and gRPC, behind the Triton server that nvidia-pytriton carries.

EXPORTED is a SavedModel's folder, or a folder of versions, of which the highest is served. Requests that wait at the
same time share a run, and each gets the answer that it would get alone. Only the outputs that clients ask for are
computed. The first call makes an environment in .environments/triton, which takes about a minute.
"""

EPILOG = """\
examples:
  scripts/serve-triton exported/bert/1
  scripts/serve-triton exported/bert_text/1 --name bert --http-port 9000
  scripts/serve-triton exported/bert/1 --signature serving_default --signature taps

  # texts over HTTP (an export of surgery convert --text), in another terminal
  curl -s localhost:8000/v2/models/bert_text/infer -d '{
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["hello"]}],
    "outputs": [{"name": "pooled_output"}]}'
  curl -s localhost:8000/v2/models/bert_text      # inputs and outputs
  curl -s localhost:8002/metrics | grep surgery_  # runs and the requests that shared them

Ctrl-C or SIGTERM stops it. Exit codes: 0 stopped, 1 Triton failed, 2 wrong request, 3 no sound export.
"""


SERVICES = {"http": "HTTP", "grpc": "gRPC", "metrics": "metrics, over HTTP"}


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line. Exits with 2 if it is wrong, and with 0 after the help."""
    parser = argparse.ArgumentParser(
        prog="scripts/serve-triton",
        description=_wrapped(DESCRIPTION),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("exported", metavar="EXPORTED", type=Path, help="the SavedModel to serve")
    add(
        "--signature",
        metavar="NAME",
        action="append",
        default=[],
        help="a signature to serve (default: serving_default, or the only one); repeatable: each is a model of its own "
        "with its own copy of the weights, serving_default as MODEL and the others as MODEL.NAME",
    )
    add("--name", metavar="MODEL", help="the model's name in URLs (default: the name of the export's folder)")
    add(
        "--address", metavar="IP", default="127.0.0.1", help="where to listen (default: %(default)s, this machine only)"
    )
    for protocol, number in (("http", 8000), ("grpc", 8001), ("metrics", 8002)):
        add(
            f"--{protocol}-port",
            metavar="N",
            type=_number(0, 65535),
            default=number,
            help=f"port for {SERVICES[protocol]} (default: %(default)s; 0 takes a free one)",
        )
    add(
        "--max-batch",
        metavar="N",
        type=_number(1, 65536),
        default=32,
        help="the most rows of a batch, and of a request (default: %(default)s)",
    )
    add(
        "--max-tokens",
        metavar="N",
        type=_number(1, 2**31 - 1),
        default=32 * 512,
        help="the most tokens of a request and of a run, padding included: rows x length (default: %(default)s)",
    )
    add(
        "--max-text-bytes",
        metavar="N",
        type=_number(1, 2**31 - 1),
        default=2**20,
        help="the most bytes of the texts of a request (default: %(default)s)",
    )
    add(
        "--delay-us",
        metavar="N",
        type=_number(0, 10_000_000),
        default=2000,
        help="the longest that a request waits for others to share its run, in microseconds (default: %(default)s)",
    )
    add(
        "--threads",
        metavar="N",
        type=_number(1, 1024),
        default=0,
        help="threads of TensorFlow in a run (default: one per core)",
    )
    add("--trust", action="store_true", help="serve an export that could do more than compute, see surgery scan")
    add("--verbose", action="store_true", help="show all messages of Triton and TensorFlow")
    return parser.parse_args(arguments)


def _wrapped(text: str) -> str:
    """Fills paragraphs to the width of the terminal, at most 118 columns."""
    width = max(30, min(118, shutil.get_terminal_size().columns - 2))
    return "\n\n".join(textwrap.fill(paragraph.replace("\n", " "), width) for paragraph in text.strip().split("\n\n"))


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, found {text!r}")
        return number

    return read
