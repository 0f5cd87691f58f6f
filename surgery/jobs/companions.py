"""The companions of an export, published together with it: its text export, and warm-up requests for both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.export.publish import check_apart, choose_destination, staging
from surgery.jobs.texts import write_texts
from surgery.jobs.warmup import warm_staged
from surgery.module import InspectedModule
from surgery.planning.plan import Plan
from surgery.planning.texts import Texts, text_destination
from surgery.progress import Progress
from surgery.tfserving.extra import require_serving


@dataclass(frozen=True, kw_only=True)
class Companions:
    """The companions that were asked for.

    Attributes:
        texts: The tokenizer and the length of the text export; None for no text export.
        text_destination: The folder of the text export, or None.
        warmup: True for warm-up requests in every export.
        trust: Runs the exports even if they are not clean, as the module that they were made of.
    """

    texts: Texts | None = None
    text_destination: Path | None = None
    warmup: bool = False
    trust: bool = False

    @classmethod
    def of(cls, destination: Path, texts: Texts | None, *, warmup: bool, trust: bool, overwrite: bool) -> Companions:
        """The companions of the export at `destination`, before anything slow happens.

        Raises UsageError if the text export's destination is taken, or the extra for warm-up requests is missing.
        """
        place = choose_destination(text_destination(destination), "", overwrite=overwrite) if texts else None
        if warmup:
            require_serving("writing warm-up requests")
        return cls(texts=texts, text_destination=place, warmup=warmup, trust=trust)

    def check_apart(self, destination: Path, *sources: str) -> None:
        """Raises UsageError where an export would be written over the module, its vocabulary, or into one of them."""
        vocab = None if self.texts is None else self.texts.vocab
        check_apart([destination, self.text_destination], [*sources, vocab])

    def check(self, plan: Plan) -> None:
        """Raises UsageError for texts that the encoder of a plan cannot take."""
        if self.texts is not None:
            self.texts.check(plan.module, plan.inference, plan.outputs)

    def stage(
        self, staged: ExitStack, exported: InspectedModule, plan: Plan, constants: Mapping[str, Any], progress: Progress
    ) -> tuple[dict[Path, Path], dict[Path, int]]:
        """Writes the companions of a staged export, `exported`.

        `staged` removes their staging folders in the end. `constants` are the module's, by attribute. Returns the
        destination of each staged folder, and the number of warm-up requests by destination.
        """
        folder = Path(exported.folder)
        opened, exports = {folder: exported}, {folder: plan.destination}
        if self.texts is not None and self.text_destination is not None:
            progress("write the text export", 0, 0)
            text_folder = staged.enter_context(staging(self.text_destination))
            tokenization = self.texts.tokenization(plan.module, dict(constants))
            length, right_context = self.texts.resolved(plan.inference), plan.inference.family.right_context
            written = write_texts(
                exported,
                tokenization,
                length,
                right_context,
                text_folder,
                self.text_destination,
                packed=plan.packed,
                trust=self.trust,
            )
            exports[text_folder] = self.text_destination
            opened[text_folder] = written
        if not self.warmup:
            return exports, {}
        return exports, {exports[at]: warm_staged(export, exports[at], progress) for at, export in opened.items()}
