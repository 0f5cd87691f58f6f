"""Samples that are converted once with all that can be asked for, and what their exports return in a v1 Session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surgery.jobs.convert import Conversion
from surgery.planning.plan import Plan
from surgery.planning.taps import offered
from surgery.scanning.gate import clear_folder
from surgery.tf.session import SavedModelSession
from tests.support.sample_names import COMPOSED, TERMS

DEPTH = 2


class Tapped(NamedTuple):
    """A module's folder, its export, what the conversion returned, and what each signature returns for `inputs`."""

    source: Path
    export: Path
    conversion: Conversion
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def blocks(self) -> int:
        return self.conversion.plan.inference.architecture["num_hidden_layers"]

    @property
    def states(self) -> list[np.ndarray]:
        """What enters the first block, and what each block returns, by `serving_default`."""
        served = self.outputs["serving_default"]
        # MobileBERT's own list of block outputs begins with the embedding.
        offset = int(f"encoder_outputs_{self.blocks}" in served)
        return [served["embedding_output"], *(served[f"encoder_outputs_{i + offset}"] for i in range(self.blocks))]

    def taps(self, block: int) -> dict[str, np.ndarray]:
        """What was tapped in a block, by the taps' names."""
        return {name: self.outputs["taps"][f"{name}_{block}"] for name in offered(self.conversion.plan.inference)}


def everything(name: str, plan: Plan) -> dict[str, Any]:
    """What to ask of a sample: every tap.

    And of those in COMPOSED a shallower encoder, features, Hugging Face's hidden states, and every output of the
    default signature once more: with all taps that are no terms of a residual sum ("calm"), and where that matters
    most, with those that are ("terms").
    """
    names, blocks = list(offered(plan.inference)), plan.inference.architecture["num_hidden_layers"]
    if name not in COMPOSED:
        return {"taps": names}
    summed = plan.inference.architecture.values.get("norm_first", False)
    terms = [tap for tap in names if tap.endswith("_output") or (summed and tap == "attention_norm")]

    def signature(composed: str, taps: list[str]) -> str:
        tapped = (f"{tap}_{block}" for tap in taps for block in range(blocks))
        return f"{composed}=" + ",".join([*plan.signatures["serving_default"], *tapped])

    signatures = [signature("calm", [tap for tap in names if tap not in terms])]
    if name in TERMS:
        signatures.append(signature("terms", terms))
    return {
        "taps": names,
        "depths": [DEPTH],
        "features": ["text=mean@-2:/mean", "twice=concat@-1,embedding,0,-1/cls"],
        "signatures": [*signatures, "hidden_states"],
    }


def given_inputs(source: Path) -> dict[str, np.ndarray] | None:
    """The inputs for which a checkpoint comes with what transformers computes; None for a module without such."""
    if not (source / "expected.npz").exists():
        return None
    expected = np.load(source / "expected.npz")
    named = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
    return {key: expected[name] for key, name in named.items() if name in expected}


def run_signatures(export: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """What every signature that takes these inputs returns, loaded as a server loads it."""
    with SavedModelSession(clear_folder(export), ("serve",)) as session:
        names = [name for name, signature in session.signatures.items() if set(signature.inputs) == set(inputs)]
        return {name: session.signature(name)(inputs) for name in names}
