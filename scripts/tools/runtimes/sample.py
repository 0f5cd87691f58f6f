"""The exports that run when none is named: a small one with taps, a feature and a depth, and its text export.

The same encoder stands beside them as `--packed` writes it: all its signatures leave padding out.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.tools.runtimes.processes import ROOT
from surgery.processes import child

MODULE = ROOT / "tests" / "modules" / "g3_small.tar.gz"
OPTIONS = ("--tap=attention_probs", "--tap=query", "--feature=mean_pool=mean@-2:/mean", "--depth=2", "--text")


def convert_sample(folder: Path) -> tuple[Path, ...]:
    """Writes the exports of a sample module into a folder; returns their folders."""
    exports = {"g3_small": OPTIONS, "g3_small_packed": ("--packed", "--tap=attention_probs", "--feature=all=mean")}
    for name, options in exports.items():
        command = child.command("-m", "surgery", "convert", str(MODULE), str(folder / name / "1"), *options)
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{done.stderr}\nruntimes: the sample could not be converted")
    return tuple(folder / name / "1" for name in (*exports, "g3_small_text"))
