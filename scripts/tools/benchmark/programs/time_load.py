"""time_load.py MODULE: print the seconds that TensorFlow takes to load a SavedModel, without its own import."""

import json
import sys
import time


def seconds_to_load(folder: str) -> float:
    """Load a SavedModel and return the seconds that it took."""
    import tensorflow as tf

    started = time.perf_counter()
    tf.saved_model.load(folder)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps({"load": seconds_to_load(sys.argv[1])}))
