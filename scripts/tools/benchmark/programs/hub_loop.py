"""hub_loop.py MODULE PREPROCESSOR CORPUS: extract features as TF Hub's pages teach it, and print the seconds.

The preprocessor packs to 128 tokens, `hub.KerasLayer` wraps both models, and batches have 32 texts.
"""

import json
import pathlib
import sys
import time

BATCH = 32


def features(module: str, preprocessor: str, corpus: str) -> dict[str, float]:
    """Run the loop over a corpus, and return the seconds and the texts."""
    started = time.perf_counter()
    import tensorflow as tf
    import tensorflow_hub as hub
    import tensorflow_text  # noqa: F401

    preprocess = hub.KerasLayer(preprocessor)
    encoder = hub.KerasLayer(module)
    lines = pathlib.Path(corpus).read_text(encoding="utf-8").splitlines()
    loaded = time.perf_counter()
    pooled = [
        encoder(preprocess(tf.constant(lines[start : start + BATCH])))["pooled_output"].numpy()
        for start in range(0, len(lines), BATCH)
    ]
    done = time.perf_counter()
    assert sum(len(part) for part in pooled) == len(lines)
    return {"seconds": done - started, "loop": done - loaded, "texts": len(lines)}


if __name__ == "__main__":
    print(json.dumps(features(*sys.argv[1:4])))
