"""Functions that read a module without TensorFlow: inspect it, scan it, plan a conversion, list a graph's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.arguments import OneOrMore, PathOrHandle, argument, one_or_more
from surgery.boundary import public
from surgery.errors import UsageError
from surgery.limits import Limits
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.comparing.difference import Difference
    from surgery.explanation.inspection import Inspection
    from surgery.graph_taps.listing import GraphListing
    from surgery.planning.plan import Plan
    from surgery.planning.requests import Feature, Layers, Tap
    from surgery.planning.tap_listing import TapListing
    from surgery.scanning.findings import Scan


@public
def inspect(module: PathOrHandle, *, limits: Limits = None) -> Inspection:
    """Looks into a module. Needs no TensorFlow.

    Args:
        module: A folder, an archive (.tar.gz, .tgz or .zip), or a handle (a URL, kaggle://, hf://), of a SavedModel, a
            TF1 checkpoint or a Hugging Face checkpoint.
        limits: Values of limits that do not suffice, such as `{"unpacked_bytes": 8 * 2**30}`; `surgery.limits` has
            the table.

    Returns:
        The module's files in plain data, and its architecture with the evidence for each field. A module that no
        weight table explains has no architecture, and says why.

    Raises:
        ModuleError: The module is missing, damaged, or no module.

    Examples:
        >>> found = surgery.inspect("g4_bert_mlm.tar.gz")
        >>> found.module.format
        'TF2 SavedModel'
        >>> found.architecture["hidden_size"]
        64
    """
    from surgery.explanation.inspection import explain_module
    from surgery.sources.opening import closed, open_module

    with open_module(str(module), with_weights=False) as found:
        inspection = explain_module(found)
    return replace(inspection, module=closed(found, str(module)))


@public
def scan(module: PathOrHandle, *, limits: Limits = None) -> Scan:
    """Looks for what a module could do besides computing. Nothing of the module is run. Needs no TensorFlow.

    Args:
        module: As for `inspect`. Any SavedModel can be scanned.
        limits: As for `inspect`.

    Returns:
        The module's operations by what they do, and its findings: the operations that are not on the allowlist, with
        the places where they stand, attributes and asset paths that lead out of the module. `.clean` is True if there
        are none.

    Raises:
        ModuleError: The module is missing, damaged, or no module.

    Examples:
        >>> surgery.scan("g4_bert_mlm.tar.gz").clean
        True
    """
    from surgery.scanning.scan import scan_files
    from surgery.sources.location import locate

    with locate(str(module), with_weights=False) as files:
        return scan_files(files)


@public
def plan(
    module: PathOrHandle,
    destination: PathOrHandle | None = None,
    *,
    assume: Mapping[str, Any] | None = None,
    taps: OneOrMore[str | Tap] = (),
    layers: Layers | None = None,
    features: OneOrMore[str | Feature] = (),
    depths: OneOrMore[int] = (),
    signatures: OneOrMore[str] | Mapping[str, OneOrMore[str]] = (),
    graph: str = "fused",
    packed: bool = False,
    keep_head: bool = False,
    limits: Limits = None,
) -> Plan:
    """Plans a conversion. Needs no TensorFlow, and does not touch the destination.

    Args:
        module: As for `inspect`.
        destination: As for `convert`.
        assume: As for `convert`.
        taps: As for `convert`.
        layers: As for `convert`.
        features: As for `convert`.
        depths: As for `convert`.
        signatures: As for `convert`.
        graph: As for `convert`.
        packed: As for `convert`.
        keep_head: As for `convert`.
        limits: As for `inspect`.

    Returns:
        The architecture, the way of every variable, and the outputs of every signature that would be written.

    Raises:
        ModuleError: The module is missing, damaged, or no module.
        UnexplainedError: The weight tables leave a variable or a hyperparameter unexplained.
        UsageError: The encoder cannot have an output that the arguments name.

    Examples:
        >>> planned = surgery.plan("g4_bert_mlm.tar.gz", taps="attention_probs@-1", depths=1)
        >>> planned.signatures["taps"]
        ('attention_probs_2',)
        >>> [signature for signature in planned.signatures]
        ['serving_default', 'taps', 'depth_1', 'mlm']
    """
    from surgery.export.publish import choose_destination
    from surgery.planning.plan import closed_plan, make_plan
    from surgery.planning.requests import Request
    from surgery.sources.opening import open_module

    request = Request.of(
        taps=taps,
        layers=layers,
        features=features,
        depths=depths,
        signatures=signatures,
        graph=graph,
        packed=packed,
        keep_head=keep_head,
    )
    with open_module(str(module), with_weights=False) as found:
        wanted = None if destination is None else Path(destination)
        made = make_plan(found, wanted or choose_destination(None, found.name, overwrite=False), assume, request)
    return closed_plan(made, str(module))


@public
def taps(
    module: PathOrHandle,
    *,
    batch: int = 1,
    length: int = 128,
    assume: Mapping[str, Any] | None = None,
    limits: Limits = None,
) -> TapListing:
    """Lists the sublayers that `convert` can add as outputs. Needs no TensorFlow.

    Args:
        module: As for `inspect`.
        batch: Rows of the reply whose bytes are counted.
        length: Tokens of a row of that reply.
        assume: As for `convert`.
        limits: As for `inspect`.

    Returns:
        The taps by name, each with its axes, its meaning, and the bytes of one block's tensor.

    Raises:
        ModuleError: The module is missing, damaged, or no module.
        UnexplainedError: The weight tables leave a variable or a hyperparameter unexplained.
        UsageError: `batch` or `length` is below 1.

    Examples:
        >>> listing = surgery.taps("g3_small.tar.gz", length=64)
        >>> listing.names[:3]
        ('query', 'key', 'value')
        >>> listing.offers["attention_probs"].axes, listing.nbytes("attention_probs")
        (('batch', 'heads', 'seq', 'seq'), 98304)
    """
    from surgery.planning.tap_listing import TapListing

    for name, value in (("batch", batch), ("length", length)):
        if value < 1:
            raise UsageError(f"{argument(name, value)}: expected 1 or more")
    return TapListing(plan=plan(module, assume=assume), batch=batch, length=length)


@public
def graph(
    module: PathOrHandle, *, signature: str | None = None, match: str | None = None, limits: Limits = None
) -> GraphListing:
    """Lists the tensors in the graph of any SavedModel, by the names that `tap` takes. Needs no TensorFlow.

    Args:
        module: A folder, an archive or a Hub handle of any SavedModel of TensorFlow 1 or 2.
        signature: The signature whose graph is listed; None for `serving_default`, `default`, or the only one.
        match: A part of a name, or a glob for all of it; None for every tensor.
        limits: As for `inspect`.

    Returns:
        The signature, and its tensors with operation, dtype and shape, in the order of the graph.

    Raises:
        ModuleError: The module is no SavedModel, or damaged.
        UsageError: The SavedModel has no such signature.

    Examples:
        >>> listing = surgery.graph("g3_small.tar.gz", match="*/layer_0/*/Softmax")
        >>> [(tensor.op, tensor.dtype, tensor.shape) for tensor in listing.tensors]
        [('Softmax', 'float32', (None, 6, None, None))]
    """
    from surgery.graph_taps.listing import matching, open_graph
    from surgery.sources.opening import closed

    with open_graph(str(module), signature, with_weights=False) as found:
        listing = matching(found, match)
    return replace(listing, files=closed(listing.files, str(module)))


@public
def diff(
    a: PathOrHandle,
    b: PathOrHandle,
    *,
    only: OneOrMore[str] = (),
    numbers: bool = False,
    html: PathOrHandle | None = None,
    overwrite: bool = False,
    trust: bool = False,
    limits: Limits = None,
    timeout: int | None = None,
    progress: Progress | None = None,
) -> Difference:
    """Compares two modules, exports or checkpoints of any kind. Needs no TensorFlow, and runs nothing, unless `numbers`
    are asked for.

    Args:
        a: The first one, as for `inspect`. Any SavedModel can be compared.
        b: The second one.
        only: The parts that are compared: "format", "signatures", "calls", "architecture", "constants", "operations",
            "assets", "manifest" or "variables". None for all.
        numbers: Runs both, two encoders, on one battery in double precision, and finds the first output in which they
            differ.
        html: An .html file for the comparison as a page that fetches nothing; None for none. It has the JSON of this
            comparison inside.
        overwrite: Replaces that file.
        trust: With `numbers`: as for `convert`.
        limits: As for `inspect`.
        timeout: With `numbers`: as for `verify`.
        progress: As for `convert`.

    Returns:
        What differs, part by part. `.same` is True if nothing does, `.differing` names the parts that do, `.summary`
        sums the weights up by parts of the model, and `.weights` has every pair of variables. Weights of two encoders
        of one family are compared whatever their names and layouts are.

    Raises:
        ModuleError: A module is missing, damaged, or no module.
        UsageError: There is no such part, `numbers` are asked for of a module that is no known encoder, or the page
            exists already.
        WriteError: The page cannot be written.
        UntrustedError: `numbers` are asked for of a module that could do more than compute.

    Examples:
        >>> found = surgery.diff("g3_small.tar.gz", "g4_bert_mlm.tar.gz")
        >>> found.differing
        ('signatures', 'calls', 'architecture', 'operations', 'variables')
        >>> [(part.name, part.state) for part in found.summary][:2]
        [('embeddings', 'other shapes'), ('blocks', 'other shapes')]
        >>> surgery.diff("g3_small.tar.gz", "g3_small.tar.gz").same
        True
    """
    from surgery.jobs.diff import diff_modules

    return diff_modules(
        str(a),
        str(b),
        only=one_or_more(only),
        numbers=numbers,
        trust=trust,
        html=None if html is None else Path(html),
        overwrite=overwrite,
        progress=progress or silent,
    )
