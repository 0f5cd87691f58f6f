"""Infers the architecture of a module, each field with the evidence for it: names, shapes, graph, or the caller's word.

The readers of names, graphs, config and shapes return observations, and `fold` compares all of them. A field without
evidence is an error that names the option which supplies the value, because no field has a default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from surgery.arguments import argument
from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Architecture, Inference, encoder_outputs
from surgery.explanation.claims import Explanation
from surgery.explanation.config import observe_config, observe_training
from surgery.explanation.convention import Convention, described_convention, read_convention
from surgery.explanation.gathering import Findings, Observation, Seen, Unseen, fold, observe_assumptions
from surgery.explanation.graph_evidence import (
    Graphs,
    observe_bare_graph,
    observe_depth,
    observe_graphs,
    observe_names,
    refuse_other_dropouts,
)
from surgery.explanation.heads import Head
from surgery.explanation.heads_in_configs import described_head, with_labelling
from surgery.explanation.heads_in_graphs import find_head
from surgery.explanation.outputs import EncoderOutputs
from surgery.explanation.pooled import check_pooled
from surgery.explanation.recognition import find_family
from surgery.explanation.sizes import bind_sizes, most_tokens
from surgery.module import InspectedModule
from surgery.tables.family import Family, InputAnchor
from surgery.tables.publisher import Publisher
from surgery.tables.recipe import SubmodelRecipe


def infer_architecture(
    module: InspectedModule, assume: Mapping[str, Any] | None = None, *, for_inference: bool = False
) -> Inference:
    """Reads family, generation and every hyperparameter of a module.

    Args:
        module: The inspected module.
        assume: Values by field, for fields without evidence in the module.
        for_inference: Leaves out fields that only a training trace shows, if the module has none. An encoder cannot be
            built without them.

    Raises:
        UnexplainedError: No table explains the module, or a field has no evidence.
        ContradictionError: Two pieces of evidence disagree.
        UsageError: `assume` has a field or a value that the family cannot have.
    """
    family, explanation = find_family(module)
    publisher = explanation.dialect.publisher if module.config is not None else None
    if publisher is None and module.trace("__call__", training=False) is None:
        raise UnexplainedError(
            f"inferring the architecture of {module.name}: it has no inference trace of __call__",
            hint="the module must have been saved with its call function, as TF Hub's are",
        )
    targets = {target: claim.variable.address for claim in explanation.claims for target in claim.targets}
    graphs = Graphs(module=module, targets=targets)
    observations = (
        *_observe(family, explanation, publisher, graphs, assume or {}),
        *observe_assumptions(assume or {}, family),
    )
    findings = fold(module.name, observations)
    refuse_other_dropouts(graphs, findings.places)
    bound = bind_sizes(module.name, family, explanation.claims, findings)
    findings = fold(module.name, (*observations, *bound.observations))
    unknown = _unknown_rates(family, findings, observations) if for_inference else {}
    _refuse_missing(module.name, {name: why for name, why in findings.missing.items() if name not in unknown})
    _refuse_other_than_allowed(module.name, family, findings)
    values = {field: findings.values[field] for field in family.fields if field in findings.values}
    _refuse_no_positions(module.name, values)
    outputs = encoder_outputs(family, graphs.targets, values)
    asked = family.asked_for(bound.sizes)
    convention, submodels = _conventions(family, graphs, explanation, outputs, asked, values)
    generations = explanation.dialect.generation
    return Inference(
        family=family,
        architecture=Architecture(
            family=family.name,
            generation=generations.get(convention.kind, " or ".join(generations.values())),
            values=values,
        ),
        evidence=tuple(evidence for evidence in findings.evidence if evidence.field in values),
        claims=explanation.claims,
        sizes=bound.sizes,
        convention=convention,
        submodels=submodels,
        publisher=publisher,
        head=_head(module, family, explanation, outputs),
        unknown=unknown,
    )


def _head(module: InspectedModule, family: Family, explanation: Explanation, outputs: EncoderOutputs) -> Head | None:
    """The head beside the encoder: as the graph around it shows it, or for a checkpoint as its config says."""
    publisher = explanation.dialect.publisher
    library = None if publisher is None else publisher.library
    if module.config is None:
        found = find_head(module, family, explanation.claims)
        return with_labelling(found, module.training_config, library, module.name)
    return described_head(module, library, explanation.claims, pooled="pooled_output" in outputs.names)


def _observe(
    family: Family, explanation: Explanation, publisher: Publisher | None, graphs: Graphs, assume: Mapping[str, Any]
) -> Iterator[Observation]:
    """The observations in the config, the names and the graphs, in this order."""
    module, described = graphs.module, tuple[Observation, ...]()
    if publisher is not None and module.config is not None:
        beside = tuple(observe_bare_graph(publisher, graphs))
        shown = {seen.field: seen.value for seen in reversed(beside)}
        configured = observe_config(
            module.config, publisher, family, module.name, targets=graphs.targets, shown=shown, assume=assume
        )
        described = (*beside, *configured)
    counted = (*observe_depth(family, graphs), *observe_names(module.name, family, explanation.claims))
    numbers = {seen.field: seen.value for seen in (*described, *counted) if isinstance(seen, Seen)}
    counts = {hole: numbers[field] for hole, field in family.counts.items() if field in numbers}
    drawn = tuple(observe_graphs(family, graphs, counts))
    described_beside = module.whole_graph is not None or module.training_config is not None
    served = explanation.dialect.publisher if described_beside else None
    if served is not None:
        shown = {seen.field: seen.value for seen in drawn if isinstance(seen, Seen)}
        name, config = module.name, module.training_config
        drawn = (*observe_training(config, served, family, name, targets=graphs.targets, shown=shown), *drawn)
    yield from (*described, *counted, *drawn)


def _unknown_rates(family: Family, findings: Findings, observations: tuple[Observation, ...]) -> dict[str, str]:
    """The fields that only a training trace shows, and of which nothing was seen, with the reason."""
    trained = {row.field for row in family.evidence if row.training}
    unreadable = {lack.field for lack in observations if isinstance(lack, Unseen) and lack.unreadable}
    return {name: why for name, why in findings.missing.items() if name in trained - unreadable}


def _refuse_missing(name: str, missing: Mapping[str, str]) -> None:
    if missing:
        raise UnexplainedError(
            f"inferring the architecture of {name}: no evidence for {', '.join(missing)}"
            + "".join(f"\n  {field}: {because}" for field, because in missing.items()),
            hint=f"if you know the value, supply it: {argument('assume', dict.fromkeys(missing, ...))}",
        )


def _refuse_other_than_allowed(name: str, family: Family, findings: Findings) -> None:
    for field, allowed in family.allowed.items():
        if field in findings.values and findings.values[field] not in allowed:
            raise UnexplainedError(
                f"inferring the architecture of {name}: {field} is {findings.values[field]} "
                f"(read at {findings.place(field)}), but Model Garden's encoder has "
                f"{' or '.join(map(str, allowed))} only"
            )


def _refuse_no_positions(name: str, values: Mapping[str, Any]) -> None:
    if most_tokens(values) < 1:
        raise UnexplainedError(
            f"inferring the architecture of {name}: pad_token_id {values['pad_token_id']} leaves none of the "
            f"{values['max_position_embeddings']} positions for a token",
            hint="the config is damaged, or belongs to another checkpoint",
        )


def _conventions(
    family: Family,
    graphs: Graphs,
    explanation: Explanation,
    outputs: EncoderOutputs,
    inputs: tuple[InputAnchor, ...],
    values: Mapping[str, Any],
) -> tuple[Convention, dict[str, Convention]]:
    """How `__call__` and the sub-models are called: as the graph shows, or for a checkpoint as its export will be."""
    module = graphs.module
    if module.config is not None:
        parts = {claim.rule.part for claim in explanation.claims}
        submodels = {name: recipe for name, recipe in family.encoder.submodels.items() if name in parts}
        described = partial(described_convention, inputs, outputs=outputs.paths)
        return described("__call__"), {name: described(name, submodel=recipe) for name, recipe in submodels.items()}
    submodels = {name: recipe for name, recipe in family.encoder.submodels.items() if name in module.callables}

    def read(name: str, submodel: SubmodelRecipe | None = None) -> Convention:
        graph, called = graphs.anchored(name, training=False), explanation.dialect.outputs
        found = read_convention(module, family, inputs, name, graph, outputs.names, called=called, submodel=submodel)
        check_pooled(module, family, values, found, graph)
        return found

    return read("__call__"), {name: read(name, submodel=recipe) for name, recipe in submodels.items()}
