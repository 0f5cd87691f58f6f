"""The measured module, the exports that are made from it, and the folders that keep both between runs."""

import json
import pathlib
import shutil
import sys

from scripts.tools.benchmark.processes import Cost, run
from scripts.tools.benchmark.progress import say
from surgery.processes import child

PROGRAMS = "scripts.tools.benchmark.programs"


class Fixture:
    """A source module of one size, and its exports. All are in `.benchmark/`, which git ignores."""

    def __init__(self, root: pathlib.Path, size: str) -> None:
        self.root = root
        self.size = size
        self.module = root / ".benchmark" / f"bert_{size}"
        self.exported = root / ".benchmark" / f"exported_{size}"
        self.exported_tapped = root / ".benchmark" / f"exported_tapped_{size}"
        self.naive = root / ".benchmark" / f"naive_{size}"
        self._exported_now = False
        self._exported_text_now = False
        self._forms_now: set[str] = set()

    def prepare(self) -> None:
        """Make the module unless an earlier run did, and read it once, so that the disk is warm for every side."""
        if not self.module.is_dir():
            say(f"making {self.module.relative_to(self.root)} (once)")
            self.module.parent.mkdir(exist_ok=True)
            self.program("make_module", str(self.module), self.size)
        for file in files_of(self.module):
            read_through(file)

    def program(self, name: str, *arguments: str, python: str = sys.executable) -> Cost:
        """Run a program of the folder `programs` as a process of its own, by the Python of any environment."""
        return run(child.command("-m", f"{PROGRAMS}.{name}", *arguments, python=python), self.root)

    def surgery(self, *arguments: str, cores: list[int] | None = None) -> Cost:
        """Run this project's command line, on the named cores only; None for all cores."""
        return run(child.command("-m", "surgery", *arguments), self.root, cores)

    def convert(self) -> Cost:
        """Convert the module with this project. An earlier export is removed first."""
        shutil.rmtree(self.exported, ignore_errors=True)
        cost = self.surgery("convert", str(self.module), str(self.exported), "--json")
        self._exported_now = True
        return cost

    def tapped(self) -> pathlib.Path:
        """Return an export with every tap, signatures that add taps to the block outputs, and four depths."""
        plan = json.loads(self.surgery("plan", str(self.module), "--json").output)
        blocks = next(row["value"] for row in plan["architecture"] if row["field"] == "num_hidden_layers")
        served = plan["signatures"]["serving_default"]
        offered = json.loads(self.surgery("taps", str(self.module), "--json").output)["taps"]
        every = [f"{tap['name']}_{block}" for tap in offered for block in range(blocks)]
        probs = [name for name in every if name.startswith("attention_probs_")]
        options = [
            f"--signature=with_probs={','.join(served + probs)}",
            f"--signature=with_all={','.join(served + every)}",
        ]
        options += [f"--depth={depth}" for depth in sorted({1, max(1, blocks // 3), max(1, 2 * blocks // 3), blocks})]
        self.convert_tapped(*options)
        return self.exported_tapped

    def convert_tapped(self, *options: str) -> Cost:
        """Convert the module with every tap. An earlier export is removed first."""
        offered = json.loads(self.surgery("taps", str(self.module), "--json").output)["taps"]
        shutil.rmtree(self.exported_tapped, ignore_errors=True)
        taps = [f"--tap={tap['name']}" for tap in offered]
        return self.surgery("convert", str(self.module), str(self.exported_tapped), "--json", *taps, *options)

    def convert_naively(self) -> Cost:
        """Convert the module with the naive script. An earlier export is removed first."""
        shutil.rmtree(self.naive, ignore_errors=True)
        cost = self.program("naive_convert", str(self.module), str(self.naive))
        shutil.rmtree(self.naive)
        return cost

    def naive_export(self) -> pathlib.Path:
        """Return the naive script's export, which an earlier run may have made."""
        folder = self.beside("hand_written")
        if not folder.is_dir():
            say("exporting with the naive script (once)")
            staged = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(staged, ignore_errors=True)
            self.program("naive_convert", str(self.module), str(staged))
            staged.rename(folder)
        return folder

    def graph_export(self, form: str) -> pathlib.Path:
        """Return an export in one of the forms of `--graph` that this run has made.

        Its signatures `pooled` and `mean` have outputs that do not show padding.
        """
        folder = self.beside(f"exported_{form}")
        if form not in self._forms_now:
            say(f"converting with --graph {form} (not measured)")
            shutil.rmtree(folder, ignore_errors=True)
            options = ["--graph", form, "--signature=pooled=pooled_output", "--feature=mean=mean@-1/mean", "--json"]
            self.surgery("convert", str(self.module), str(folder), *options)
            self._forms_now.add(form)
        return folder

    def beside(self, name: str) -> pathlib.Path:
        """Return the path of something that is made from this module."""
        return self.root / ".benchmark" / f"{name}_{self.size}"

    def corpus(self, count: int) -> pathlib.Path:
        """Return a file with this number of texts."""
        file = self.root / ".benchmark" / f"corpus_{self.size}_{count}.txt"
        self.program("corpus", str(self.module / "assets" / "vocab.txt"), str(file), str(count))
        return file

    def text_export(self) -> pathlib.Path:
        """Return a text export that this run has made."""
        folder = self.exported.with_name(f"{self.exported.name}_with")
        text = folder.with_name(f"{folder.name}_text")
        if not self._exported_text_now:
            say("converting with --text (not measured)")
            for made in (folder, text):
                shutil.rmtree(made, ignore_errors=True)
            self.surgery("convert", str(self.module), str(folder), "--text", "--json")
            self._exported_text_now = True
        return text

    def preprocessor(self) -> pathlib.Path:
        """Return a preprocessor like TF Hub's, which packs to 128 tokens."""
        folder = self.root / ".benchmark" / f"preprocess_{self.size}"
        if not folder.is_dir():
            self.surgery("preprocess", str(self.module), str(folder), "--seq-length", "128")
        return folder

    def export(self) -> pathlib.Path:
        """Return an export that this run has made: an export of an earlier run may come from other code."""
        if not self._exported_now:
            say("converting (not measured)")
            self.convert()
        return self.exported


def files_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return all files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_through(file: pathlib.Path) -> None:
    """Read a file piece by piece: the peak memory of this process would count as its children's, too."""
    with file.open("rb") as stream:
        while stream.read(1 << 20):
            pass
