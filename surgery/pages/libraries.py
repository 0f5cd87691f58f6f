"""The JavaScript libraries that draw charts. They lie in `vendored/`, as published, and are copied into each page.

Observable Plot draws SVG: a chart follows the colours of the page, dark or light, is sharp on paper, and each mark can
have a name for a screen reader. Libraries that draw on a canvas are smaller (uPlot has 50 kB), but can do none of this.
Plot draws with d3; 7.9.0 is the version that Plot's own file asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "vendored"


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library, one file.

    Attributes:
        name: Its name as a package of npm.
        version: Its version.
        licence: The name of its licence, whose text lies beside the file.
        owner: Who has the copyright.
        file: The name of its file.
        sha256: SHA-256 of the file as it was published.
    """

    name: str
    version: str
    licence: str
    owner: str
    file: str
    sha256: str

    def read(self) -> str:
        """The file's content."""
        return (FOLDER / self.file).read_text(encoding="utf-8")

    def script(self) -> str:
        """The file after its licences, which ask to be in every copy; those of code that the file has inside, too."""
        stem = f"{self.name.rpartition('/')[2]}-{self.version}"
        licences = [path.read_text(encoding="utf-8").strip() for path in sorted(FOLDER.glob(f"{stem}*.LICENSE"))]
        return "\n".join([*(f"/*\n{text}\n*/" for text in licences), self.read()])


D3 = Library(
    name="d3",
    version="7.9.0",
    licence="ISC",
    owner="Mike Bostock",
    file="d3-7.9.0.min.js",
    sha256="f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539",
)
PLOT = Library(
    name="@observablehq/plot",
    version="0.6.17",
    licence="ISC",
    owner="Observable, Inc.",
    file="plot-0.6.17.umd.min.js",
    sha256="4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
)
CHARTS = (D3, PLOT)
"""In the order in which a page needs them."""
