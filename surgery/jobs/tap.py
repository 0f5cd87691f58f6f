"""Tapping any SavedModel as one straight line: open, choose, load, write, run both, compare, publish."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import ModuleError, ParityError, WriteError
from surgery.export.manifest import MANIFEST
from surgery.export.publish import check_apart, choose_destination, kept_folder, publish, staging
from surgery.feeding.feeds import names_of_parts, taken
from surgery.feeding.given import Given, fit
from surgery.graph_taps.checks import OutputCheck, changes, compare, misshapen, without_random
from surgery.graph_taps.listing import GraphListing, open_graph
from surgery.graph_taps.made_inputs import MadeBatch, made_batches
from surgery.graph_taps.selection import GraphTap, resolve_taps
from surgery.module import InspectedModule
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import clear, clear_folder
from surgery.sources import inspect_saved_model
from surgery.sources.files import Files
from surgery.sources.location import module_name
from surgery.sources.opening import closed

BATCHES = 2
"""The number of made batches of inputs on which the outputs are compared."""
EXTRA = Path("assets.extra")
WRITABLE = re.compile(r"[a-z][a-z0-9_]*")
"""Names of inputs that TensorFlow 2 writes unchanged. It changes all others."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Tapping(Result, report="tap"):
    """A published SavedModel that returns inner tensors beside the outputs of its source.

    Attributes:
        destination: Its folder.
        listing: The source's graph, behind the signature that was tapped.
        taps: The tensors that were added to the signature's outputs.
        batches: Labels of the inputs on which both were run.
        checks: The comparison of each output with the source's.
        variables: The number of the source's variables.
        left_out: Signatures of a TensorFlow 1 module whose inputs have names that TensorFlow 2 cannot write.
        given: Whether the caller gave the inputs; otherwise they were made from the signature.
    """

    destination: Path
    listing: GraphListing
    taps: tuple[GraphTap, ...]
    batches: tuple[str, ...]
    checks: tuple[OutputCheck, ...]
    variables: int
    left_out: tuple[str, ...]
    given: bool


def tap_module(
    module: str,
    destination: Path,
    tensors: Sequence[str],
    *,
    signature: str | None = None,
    inputs: Sequence[Given] = (),
    trust: bool = False,
    overwrite: bool = False,
    keep_failed: bool = False,
    progress: Progress = silent,
) -> Tapping:
    """Writes a SavedModel whose signature returns further tensors. It is only published if everything else is the same.

    Raises a SurgeryError that names the cause; the destination is then as it was before.
    """
    destination = choose_destination(destination, module_name(module), overwrite=overwrite)
    progress("read the graph", 0, 0)
    with open_graph(module, signature, with_weights=True) as listing:
        check_apart([destination], [module, listing.files.folder])
        permission = clear(listing.files, trust=trust)
        taps = resolve_taps(listing, tensors)
        source = inspect_saved_model(listing.files)
        if source.problems:
            raise ModuleError(
                f"opening {source.name}: " + "; ".join(source.problems), hint="the module is incomplete: fetch it again"
            )
        batches = _given(source, listing, inputs) if inputs else list(made_batches(listing.signature))
        left_out = _left_out(listing)
        with staging(destination, keep_failed=keep_failed) as folder:
            progress("start TensorFlow", 0, 0)
            from surgery.tf.memory import importing

            with importing():
                from surgery.tf import graph_tap

            progress("load the module", 0, 0)
            with graph_tap.opened(listing, permission, taps) as loaded:
                progress("write the SavedModel", 0, 0)
                loaded.write(folder, left_out)
                progress("run the module", 0, 0)
                accepted, expected = loaded.record(batches, len(batches) if inputs else BATCHES, given=bool(inputs))
            progress("run the result", 0, 0)
            written = clear_folder(folder, trust=trust)
            found = graph_tap.record_export(written, listing.signature.name, accepted)
            checks = compare(expected, found)
            if any(check.problem for check in checks):
                with graph_tap.opened(listing, permission, taps) as again:
                    checks = without_random(checks, compare(expected, again.record(accepted, len(accepted))[1]))
            faults = [f"{check.output}: {check.problem}" for check in checks if check.problem]
            faults += misshapen(taps, found)
            faults += changes(
                source, inspect_saved_model(Files(folder=folder, name=source.name)), listing, taps, left_out
            )
            if faults:
                raise ParityError(
                    f"comparing what was written with {source.name}: it is not the same, nothing was published"
                    + "".join(f"\n  {fault}" for fault in faults),
                    hint=f"the failed export is kept at {kept_folder(folder)}"
                    if keep_failed
                    else f"{argument('keep_failed', True)} keeps the export to look at",
                )
            _copy_extra(listing.files.folder, folder)
            progress("publish", 0, 0)
            publish(folder, destination, overwrite=overwrite)
    return Tapping(
        destination=destination,
        listing=replace(listing, files=closed(listing.files, module)),
        taps=taps,
        batches=tuple(batch.label for batch in accepted),
        checks=checks,
        variables=len(source.variables),
        given=bool(inputs),
        left_out=left_out,
    )


def _given(source: InspectedModule, listing: GraphListing, inputs: Sequence[Given]) -> list[MadeBatch]:
    """The caller's batches. The source must accept each of them."""
    feeds = taken(listing.signature, names_of_parts(source, listing.signature.name))
    doing = f"the signature {listing.signature.name} of {listing.files.name}"
    fitted = [fit(feeds, given, f"giving batch {n} to {doing}") for n, given in enumerate(inputs, 1)]
    return [
        MadeBatch(label=f"batch {n} ({fed.label})", arrays={feed.argument: fed.arrays[feed.key] for feed in feeds})
        for n, fed in enumerate(fitted, 1)
    ]


def _left_out(listing: GraphListing) -> tuple[str, ...]:
    """Signatures that cannot be written again. Raises ModuleError when the tapped signature is one of them."""
    found = {}
    for signature in listing.signatures:
        for tensor in signature.inputs:
            if not WRITABLE.fullmatch(tensor.key) or iskeyword(tensor.key):
                found[signature.name] = tensor.key
    if listing.signature.name in found:
        raise ModuleError(
            f"writing the signature {listing.signature.name} of {listing.files.name} again: TensorFlow 2 has no inputs "
            f"with names like {found[listing.signature.name]!r}",
            hint="expected small letters, digits and _: choose another signature, or save the module with other keys",
        )
    return tuple(found)


def _copy_extra(source: Path, written: Path) -> None:
    """Copies files for servers, such as warm-up requests. The manifest is left out: it describes the source's files."""
    try:
        if (source / EXTRA).is_dir():
            shutil.copytree(
                source / EXTRA, written / EXTRA, ignore=lambda folder, names: {Path(MANIFEST).name} & set(names)
            )
    except (OSError, shutil.Error) as error:
        raise WriteError(f"copying {EXTRA} to {written}: {error}") from error
