"""diff: two modules side by side. Nothing of them is run unless their numbers are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from surgery.arguments import argument
from surgery.batching import WORD_IDS
from surgery.comparing.difference import Difference
from surgery.comparing.facts import compare_architectures, compare_constants
from surgery.comparing.files import compare_assets, vocabulary
from surgery.comparing.interfaces import compare_calls, compare_signatures
from surgery.comparing.numbers import Numbers, compare_numbers, shared_battery
from surgery.comparing.operations import compare_operations
from surgery.comparing.pairing import pairs_of
from surgery.comparing.parts import NUMBERS, PARTS
from surgery.comparing.sides import Side, side
from surgery.comparing.statements import compare_manifests
from surgery.comparing.weights import compare_weights
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.jobs.opened import open_weights
from surgery.jobs.reference import reference_of
from surgery.module import InspectedModule
from surgery.pages.differences import DIFF
from surgery.pages.section import Data
from surgery.pages.writing import check_page, write_page
from surgery.planning.plan import make_plan
from surgery.progress import Progress, silent
from surgery.results import document
from surgery.scanning.gate import let_through
from surgery.sources import well_formed
from surgery.sources.opening import closed, open_module

NEED_WEIGHTS = {"constants", "variables"}
"""Parts for which the weights of an archive are unpacked."""


def diff_modules(
    a: str,
    b: str,
    *,
    only: Collection[str] = (),
    numbers: bool = False,
    trust: bool = False,
    html: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Difference:
    """Compares two modules, exports or checkpoints.

    Args:
        a: Path or handle of the first one.
        b: Path or handle of the second one.
        only: The parts that are compared, of PARTS; none for all.
        numbers: Runs both on one battery in double precision.
        trust: Runs them even if they are not clean.
        html: The file of a page of the comparison; None for none.
        overwrite: Replaces that file.
        progress: Called with the step, what is done of it, and its total.

    Raises:
        UsageError: There is no such part, numbers are asked for of a module that no table explains, or the page exists.
        UntrustedError: Numbers are asked for of a module that could do more than compute.
        ModuleError: A module is missing or damaged, or no module.
        WriteError: The page cannot be written.
    """
    if html is not None:
        check_page(html, [a, b], overwrite=overwrite)
    for part in only:
        if part not in PARTS:
            raise UsageError(
                f"{argument('only', part)}: there is no such part", hint="the parts are " + ", ".join(PARTS)
            )
    compared = tuple(part for part in PARTS if not only or part in only)
    weights = numbers or bool(NEED_WEIGHTS & set(compared))
    with open_module(a, with_weights=weights) as left, open_module(b, with_weights=weights) as right:
        sides = (side("A", left), side("B", right))
        run = _run_later(sides, (left, right), trust, progress) if numbers else None  # refused before all else
        found = _compared(*sides, compared, progress)
        if run is not None:
            found = replace(found, compared=(*compared, NUMBERS), numbers=run())
    found = replace(found, a=_closed(found.a, a), b=_closed(found.b, b))
    if html is not None:
        write_page(page_of(document(found)), html)
    return found


def page_of(diff: Data) -> str:
    """The page of a comparison, from its JSON alone."""
    from surgery.pages.rendering import render, views_of  # which imports jinja2

    title, documents = f"{diff['a']['name']} and {diff['b']['name']}", {"diff": diff}
    return render(title=title, kind="Two modules side by side", views=views_of(DIFF, documents), documents=documents)


def _closed(one: Side, module: str) -> Side:
    """A side as a result keeps it, after its files may have gone."""
    return replace(one, inspection=replace(one.inspection, module=closed(one.module, module)))


def _run_later(
    sides: tuple[Side, Side], modules: tuple[InspectedModule, InspectedModule], trust: bool, progress: Progress
) -> Callable[[], Numbers]:
    """A function that runs both modules on one battery, one after the other.

    Raises UsageError for a module that no table explains, and UntrustedError for one that is not clean.
    """
    battery = shared_battery(*(_explained(one).architecture for one in sides))
    cleared = [let_through(module, trust=trust) for module in modules]

    def run() -> Numbers:
        recordings = []
        for module in cleared:
            opened = open_weights(make_plan(module, Path()), lambda _: battery, allow_nonfinite=True, progress=progress)
            with reference_of(opened) as reference:
                recordings.append(reference.record(battery, progress))
        return compare_numbers(battery, *recordings)

    return run


def _explained(one: Side) -> Inference:
    """The inference of a module. Raises UsageError where there is none: nothing says then what its inputs are."""
    if (inference := one.inspection.inference) is None:
        raise UsageError(
            f"{argument('numbers', True)}: no weight table explains {one.module.name}: {one.inspection.unexplained}",
            hint="numbers are compared of two encoders; leave the argument out to compare everything else",
        )
    return inference


def _compared(a: Side, b: Side, compared: tuple[str, ...], progress: Progress) -> Difference:
    found = Difference(a=a, b=b, compared=compared)
    if "signatures" in compared:
        found = replace(found, signatures=compare_signatures(a.module, b.module))
    if "calls" in compared:
        found = replace(found, calls=compare_calls(a.module, b.module))
    if "architecture" in compared:
        found = replace(found, architecture=compare_architectures(a, b))
    if "constants" in compared:
        found = replace(found, constants=compare_constants(a, b))
    if "operations" in compared:
        found = replace(found, operations=compare_operations(a, b, _labels(a, b)))
    if "assets" in compared:
        found = replace(found, assets=compare_assets(a.module, b.module))
    if "manifest" in compared:
        found = replace(found, manifest=compare_manifests(a.module, b.module))
    if "variables" in compared:
        with well_formed(f"{a.module.name} and {b.module.name}"):
            found = replace(found, weights=compare_weights(a, b, progress), word_table=_word_table(a, b))
        found = replace(found, words=(vocabulary(a.module), vocabulary(b.module)))
    return found


def _labels(a: Side, b: Side) -> tuple[dict[str, str], dict[str, str]]:
    """The name of each variable's pair by its address and by its name, so that both graphs call it the same.

    Pairs of one name are numbered: two variables that have changed places in a graph must show.
    """
    labels: tuple[dict[str, str], dict[str, str]] = ({}, {})
    seen: Counter[str] = Counter()
    for pair in pairs_of(a, b):
        label = f"{pair.name} ({seen[pair.name]})" if seen[pair.name] else pair.name
        seen[pair.name] += 1
        for names, stored in zip(labels, (pair.a, pair.b), strict=True):
            if stored is not None:
                names[stored.variable.address] = label
                names.setdefault(stored.variable.name, label)
    return labels


def _word_table(a: Side, b: Side) -> str | None:
    """The name of the word embeddings, where the weights are paired by meaning."""
    if a.family is None or b.family is None or a.family.name != b.family.name:
        return None
    return next((anchor.table for anchor in a.family.inputs if anchor.name == WORD_IDS), None)
