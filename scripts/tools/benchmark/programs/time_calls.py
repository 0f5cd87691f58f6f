"""time_calls.py SOURCE EXPORT: print the milliseconds of every call of both models' `serving_default`.

Source, export and a second copy of the source are in one process and called by turns. The second copy shows how much
two copies of the same model differ. Each side returns all outputs of its signature. The side that is called first
changes from turn to turn.
"""

import json
import sys
import time
from typing import Any

SHAPES = ((1, 128, 60), (8, 128, 21))
"""Rows, length and timed turns. The turns are a multiple of three, so that every side is first equally often."""
WARM_UP = 3


def make_batch(rows: int, length: int, vocab_size: int) -> dict[str, Any]:
    """Make a batch of random words without padding. The second half of every row is its second segment."""
    import numpy as np
    import tensorflow as tf

    ids = np.random.default_rng(rows).integers(0, vocab_size, (rows, length), dtype=np.int32)
    types = np.zeros_like(ids)
    types[:, length // 2 :] = 1
    arrays = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": types}
    return {name: tf.constant(array) for name, array in arrays.items()}


def time_by_turns(sides: dict[str, Any], batch: dict[str, Any], turns: int) -> dict[str, list[float]]:
    """Call every side once per turn, and return the milliseconds of the calls after the warm-up."""
    names = list(sides)
    milliseconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-WARM_UP, turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            sides[name](**batch)
            elapsed = (time.perf_counter() - started) * 1000
            if turn >= 0:
                milliseconds[name].append(elapsed)
    return milliseconds


def main(source: str, export: str) -> None:
    """Load the models, time them on every shape, and print the result as JSON."""
    import tensorflow as tf

    folders = {"source": source, "export": export, "source again": source}
    models = {name: tf.saved_model.load(folder) for name, folder in folders.items()}
    sides = {name: model.signatures["serving_default"] for name, model in models.items()}
    variables = {variable.name: variable for variable in models["source"].variables}
    vocab_size = int(variables["word_embeddings/embeddings:0"].shape[0])
    timings = {
        f"{rows} x {length}": time_by_turns(sides, make_batch(rows, length, vocab_size), turns)
        for rows, length, turns in SHAPES
    }
    print(json.dumps(timings))


if __name__ == "__main__":
    main(*sys.argv[1:3])
