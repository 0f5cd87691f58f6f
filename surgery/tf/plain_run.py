"""One run of a signature in a v1 Session, as on a server. Ragged and sparse outputs come in their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from surgery.module import SignatureInfo, TensorInfo
from surgery.scanning.gate import Cleared
from surgery.tf.graph_tap import know_operations
from surgery.tf.meta_graph import with_tags
from surgery.tf.session import SavedModelSession


def run_once(
    cleared: Cleared,
    tags: Sequence[str],
    signature: SignatureInfo,
    inputs: Mapping[str, np.ndarray],
    wanted: Sequence[TensorInfo],
) -> dict[str, np.ndarray]:
    """The wanted outputs by key. Raises ModuleError when the SavedModel cannot be loaded or run."""
    know_operations(with_tags(cleared.saved_model, tags).graph_def, cleared.folder)
    feeds = {str(tensor.name): inputs[tensor.key] for tensor in signature.inputs}
    fetches = {
        f"{tensor.key}.{part.key}" if tensor.parts else tensor.key: str(part.name)
        for tensor in wanted
        for part in tensor.parts or (tensor,)
    }
    with SavedModelSession(cleared, tags, few_runs=True) as session:
        found = session.tensors(fetches, feeds)
    return {key: np.array(value, object) if isinstance(value, bytes) else value for key, value in found.items()}
