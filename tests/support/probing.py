"""A command in a process of its own that tells afterwards which heavy modules it has imported."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.running import environment

HEAVY = ("tensorflow", "tf_keras", "keras", "tensorflow_hub", "tensorflow_text", "official", "surgery.tf")
EXTRAS = ("apache_beam", "pyarrow", "tensorflow_serving", "grpc")
UNREAD = ("numpy", "ml_dtypes", "google_crc32c", "fsspec", "asyncio", "subprocess", "tarfile", "zipfile", "tempfile")
"""What only those modules need that are archives or handles, or whose weights are read."""
PROBE = """
import json, sys
from surgery.cli.main import main
code = 0
try:
    main(sys.argv[1:], standalone_mode=True)
except SystemExit as error:
    code = error.code
print(json.dumps([code or 0, list(sys.modules)]), file=sys.stderr)
"""


def run(*arguments: object) -> tuple[int, list[str]]:
    """Exit code of the command, and which heavy modules it has imported."""
    code, found = imported(*arguments)
    return code, [name for name in (*HEAVY, *EXTRAS) if name in found]


def imported(*arguments: object) -> tuple[int, list[str]]:
    """Exit code of the command, and all modules that it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    code, found = json.loads(done.stderr.strip().splitlines()[-1])
    return code, found
