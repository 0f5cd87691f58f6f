"""The exports that run when none is named: a small one with taps, a feature and a depth, and its text export."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.tools.runtimes.processes import ROOT
from surgery import child

MODULE = ROOT / "tests" / "modules" / "g3_small.tar.gz"
OPTIONS = ("--tap=attention_probs", "--tap=query", "--feature=mean_pool=mean@-2:/mean", "--depth=2", "--text")


def convert_sample(folder: Path) -> tuple[Path, Path]:
    """Writes the tensor export and the text export of a sample module into a folder; returns their folders."""
    export = folder / "g3_small" / "1"
    command = child.command("-m", "surgery", "convert", str(MODULE), str(export), *OPTIONS)
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stderr}\nruntimes: the sample could not be converted")
    return export, folder / "g3_small_text" / "1"
