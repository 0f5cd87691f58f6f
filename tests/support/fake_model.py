"""fake_model.py KIND: a worker of scripts/tools/benchmark with a numpy model, or one that fails as it is loaded."""

import sys

import numpy as np

from scripts.tools.benchmark.programs.worker import MEAN, Model, Signature, serve


def outputs(inputs):
    """A "sequence" of the word ids, and their sum; KIND "wrong" is off in one token, "other" in padding only."""
    sequence = np.repeat(inputs["input_word_ids"][:, :, None], 2, axis=2).astype(np.float32)
    if sys.argv[1] == "wrong":
        sequence[-1, 0, 1] += 1
    if sys.argv[1] == "other":
        sequence[inputs["input_mask"] == 0] = 7
    return {"sequence_output": sequence, MEAN: (sequence * inputs["input_mask"][:, :, None]).sum(1)}


def load():
    if sys.argv[1] == "fails":
        print("what a library says")
        sys.exit("no such file")
    names = ("sequence_output",)
    signature = Signature(prepare=lambda inputs: lambda: outputs(inputs), arrays=lambda found: found, outputs=names)
    record = outputs if sys.argv[1] == "source" else None
    signatures = dict.fromkeys(("serving_default", "pooled", "mean"), signature)
    return Model(version=f"fake {sys.argv[1]}", load=1.5, vocabulary=50, signatures=signatures, record=record)


if __name__ == "__main__":
    serve(load)
