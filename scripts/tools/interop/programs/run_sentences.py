"""Loads a Hugging Face folder in sentence-transformers, in the environment `torch`, and writes what it encodes.

    run_sentences.py REQUEST.npz FOLDER ANSWER.npz

REQUEST.npz has `texts`, JSON of a list of texts. The answer has their tokens, by transformers' names, and `vectors`,
float32 [texts, hidden].
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]

if __name__ == "__main__":
    request, folder, file = sys.argv[1:]
    texts = json.loads(str(np.load(request)["texts"]))
    model = SentenceTransformer(folder, device="cpu")
    with torch.no_grad():
        tokens = {name: value.numpy() for name, value in model.tokenize(texts).items() if hasattr(value, "numpy")}
        vectors = model.encode(texts, batch_size=len(texts), convert_to_numpy=True)
    np.savez_compressed(file, vectors=vectors, **tokens)
