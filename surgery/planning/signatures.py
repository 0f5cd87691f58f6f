"""Which signatures an export will have, and the inputs and outputs of each.

`serving_default` comes first. Then come `taps` with all taps, one signature per feature, `depth_<number>` for each
depth, the ready-made and the composed ones, `classifier` with the head that is kept, and the module's sub-models, such
as `mlm`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.heads import DenseHead, Head, OtherHead
from surgery.explanation.outputs import EMBEDDING, EncoderOutputs
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.features import NAME, READY_MADE, ResolvedFeature, resolve_features
from surgery.planning.outputs import DEPTH, TAPS, ExportOutputs, Signature
from surgery.planning.padding import check_graph, packed_where_hidden
from surgery.planning.requests import Request
from surgery.planning.taps import TapAtBlock, resolve_taps, select_layers
from surgery.tables.head import HEAD
from surgery.wording import did_you_mean


def resolve(inference: Inference, request: Request) -> ExportOutputs:
    """Resolves a request for an encoder. Every mistake in the request is found here, before anything slow begins.

    Raises UsageError, which names the argument, for an output that the encoder cannot have.
    """
    check_graph(request)
    names, blocks = inference.outputs, inference.architecture.blocks
    taps = resolve_taps(inference, request.taps)
    ready_made = [short for short in request.signatures if short in READY_MADE]
    features = resolve_features(request.features, ready_made, names)
    base = {*names.paths, *(tap.output for tap in taps)}
    signatures = {DEFAULT_SIGNATURE: Signature(outputs=_served(names, request.layers))}
    if taps:
        signatures[TAPS] = Signature(outputs=tuple(tap.output for tap in taps))
    for feature in features.values():
        signatures[feature.name] = Signature(outputs=feature.outputs, depth=_depth(feature.depth, blocks))
    for depth in request.depths:
        if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= blocks:
            option = argument("depths", depth)
            raise UsageError(f"{option}: the encoder has {blocks} blocks, expected 1 to {blocks}")
        signatures[f"{DEPTH}{depth}"] = Signature(outputs=_shallow(names, depth), depth=_depth(depth, blocks))
    known = [*names.paths, *(tap.output for tap in taps), *(name for f in features.values() for name in f.outputs)]
    head = _kept_head(inference, request, {*known, TAPS})
    kept = set() if head is None else {HEAD}
    taken = {*signatures, *inference.submodels, *kept, TAPS, "__call__"}
    for short in (short for short in request.signatures if short not in READY_MADE):
        name, outputs = _composed(short, known, taken)
        signatures[name] = Signature(outputs=outputs, depth=_needed(outputs, taps, features, names))
        taken.add(name)
    _refuse_collisions(features, base, {*inference.submodels, *kept, DEFAULT_SIGNATURE, TAPS})
    if head is not None:
        signatures[HEAD] = Signature(outputs=tuple(head.outputs))
    resolved = ExportOutputs(request=request, taps=taps, features=features, signatures=signatures, head=head)
    return replace(resolved, signatures=packed_where_hidden(inference, resolved, signatures))


def _kept_head(inference: Inference, request: Request, taken: Container[str]) -> DenseHead | None:
    """The head that is kept: the one that is asked for, or that of a checkpoint, which is part of its class."""
    if inference.publisher is not None and isinstance(inference.head, DenseHead):
        return inference.head
    return _keepable(inference.head, taken) if request.keep_head else None


def _keepable(head: Head | None, taken: Container[str]) -> DenseHead:
    """The head of a module, if it can be kept. `taken` are the names of the encoder's outputs. Raises UsageError."""
    option = argument("keep_head", True)
    if head is None:
        raise UsageError(f"{option}: the module is an encoder without a head")
    if isinstance(head, OtherHead):
        raise UsageError(
            f"{option}: the head ({', '.join(head.variables)}) is none that can be kept: {head.because}",
            hint=f"without {option}, the encoder is converted alone; `surgery tap` keeps the whole model",
        )
    if double := [name for name in head.outputs if name in taken]:
        raise UsageError(f"{option}: the head's output {double[0]} has the name of an output of the encoder")
    return head


def signature_inputs(inference: Inference, outputs: ExportOutputs) -> dict[str, set[str]]:
    """The names of the inputs of each signature of the export, by signature."""
    tokens = {anchor.name for anchor in inference.inputs}
    submodels = {name: tokens | {inference.family.encoder.submodels[name].positions} for name in inference.submodels}
    return {**dict.fromkeys(outputs.signatures, tokens), **submodels}


def signature_outputs(inference: Inference, outputs: ExportOutputs) -> dict[str, tuple[str, ...]]:
    """The names of the outputs of each signature of the export, by signature."""
    names = inference.outputs.paths
    signatures = {name: signature.outputs for name, signature in outputs.signatures.items()}
    for submodel, convention in inference.submodels.items():
        logits = inference.family.encoder.submodels[submodel].logits
        signatures[submodel] = tuple(name for name in (*names, logits) if name in convention.outputs)
    return signatures


def _served(names: EncoderOutputs, layers: str | None) -> tuple[str, ...]:
    """The outputs of `serving_default`. `layers` selects which of the block outputs are among them; None for all."""
    if layers is None:
        return tuple(names.paths)
    chosen = select_layers(layers, names.blocks, argument("layers", layers))
    hidden = set(names.entries_after(names.blocks)) - {names.block_output(block) for block in chosen}
    return tuple(name for name in names.paths if name not in hidden)


def _composed(short: str, known: Sequence[str], taken: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The name and the outputs of a composed signature, whose short form is `NAME=OUTPUT,OUTPUT`."""
    option = argument("signatures", short)
    name, equals, listed = str(short).partition("=")
    outputs = tuple(dict.fromkeys(output.strip() for output in listed.split(",") if output.strip()))
    if not equals or not NAME.fullmatch(name) or not outputs:
        hint = f"ready-made, with their name alone: {', '.join(READY_MADE)}"
        raise UsageError(f"{option}: expected NAME=OUTPUT,OUTPUT, with a name of letters, digits and _", hint=hint)
    if name in taken:
        raise UsageError(f"{option}: there is a signature {name} already")
    unknown = [output for output in outputs if output not in known]
    if unknown:
        suggestion = did_you_mean(get_close_matches(unknown[0], known, n=3, cutoff=0.5))
        raise UsageError(
            f"{option}: there is no output {unknown[0]}",
            hint=(f"{suggestion} " if suggestion else "")
            + f"taps have to be asked for with {argument('taps')}, features with {argument('features')}",
        )
    return name, outputs


def _refuse_collisions(features: Mapping[str, ResolvedFeature], outputs: set[str], signatures: set[str]) -> None:
    outputs = set(outputs)
    for feature in features.values():
        option = argument("features", f"{feature.name}=…")
        if feature.name in signatures or re.fullmatch(f"{DEPTH}[0-9]+", feature.name):
            raise UsageError(f"{option}: there is a signature {feature.name} already")
        if double := [name for name in feature.outputs if name in outputs]:
            raise UsageError(f"{option}: there is an output {double[0]} already")
        outputs.update(feature.outputs)


def _needed(
    outputs: Sequence[str], taps: Sequence[TapAtBlock], features: Mapping[str, ResolvedFeature], names: EncoderOutputs
) -> int | None:
    """How many blocks have to run for these outputs; None for all."""
    depths = {tap.output: tap.block + 1 for tap in taps} | dict.fromkeys((EMBEDDING, *names.entries_after(0)), 1)
    depths |= {name: number + 1 for number, name in enumerate(names.block_outputs)}
    depths |= {name: f.depth for f in features.values() for name in f.outputs}
    return _depth(max(depths.get(name, names.blocks) for name in outputs), names.blocks)


def _shallow(names: EncoderOutputs, depth: int) -> tuple[str, ...]:
    """The outputs of an encoder that ends after `depth` blocks: embedding output, block outputs, sequence output."""
    return ("sequence_output", *names.entries_after(depth), EMBEDDING)


def _depth(depth: int, blocks: int) -> int | None:
    return None if depth == blocks else depth
