"""time_taps.py SOURCE EXPORT: print the milliseconds of calls of an export's signatures, beside its source's.

The export has every tap, signatures `with_probs` (all block outputs and the attention maps) and `with_all` (all
block outputs and every tap), and a `depth_K` for some K. All are called by turns in one process, beside two copies of
the source. The second copy shows how much two copies of the same model differ.
"""

import json
import sys
import time
from typing import Any

from scripts.tools.benchmark.programs.inputs import FULL, Case, make_inputs

TURNS = {(1, 128): 72, (8, 128): 24}
"""Timed turns by rows and length, so many that every side is first equally often."""
WARM_UP = 3


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
    """Load the models, time their signatures on every shape, and print the result as JSON."""
    import tensorflow as tf

    models = {name: tf.saved_model.load(folder) for name, folder in (("source", source), ("again", source))}
    exported = tf.saved_model.load(export)
    sides = {
        "source": models["source"].signatures["serving_default"],
        "source again": models["again"].signatures["serving_default"],
        "all block outputs": exported.signatures["serving_default"],
        "with attention_probs": exported.signatures["with_probs"],
        "with every tap": exported.signatures["with_all"],
    }
    depths = sorted((name for name in exported.signatures if name.startswith("depth_")), key=lambda name: int(name[6:]))
    sides.update({name: exported.signatures[name] for name in depths})
    variables = {variable.name: variable for variable in models["source"].variables}
    vocab_size = int(variables["word_embeddings/embeddings:0"].shape[0])
    timings = {}
    for (rows, length), turns in TURNS.items():
        inputs = make_inputs(Case(rows, length, FULL), vocab_size)
        batch = {name: tf.constant(array) for name, array in inputs.items()}
        timings[f"{rows} x {length}"] = time_by_turns(sides, batch, turns)
    print(json.dumps(timings))


if __name__ == "__main__":
    main(*sys.argv[1:3])
