"""infer_torch.py FOLDER: transformers' BertModel on torch, in float32 with scaled dot-product attention."""

import os
import sys
import time
from typing import Any

from scripts.tools.benchmark.programs.worker import Arrays, Call, Model, Signature, serve


def load() -> Model:
    """Load the checkpoint that the command line names."""
    import torch
    import transformers

    architecture = transformers.BertModel  # transformers imports a model's code when it is first named
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    started = time.perf_counter()
    model = architecture.from_pretrained(sys.argv[1], attn_implementation="sdpa", dtype=torch.float32).eval()
    seconds = time.perf_counter() - started

    def prepare(inputs: Arrays) -> Call:
        names = {"input_ids": "input_word_ids", "attention_mask": "input_mask", "token_type_ids": "input_type_ids"}
        batch = {name: torch.from_numpy(inputs[key]).long() for name, key in names.items()}

        def call() -> Any:
            with torch.inference_mode():
                return model(**batch, output_hidden_states=True)

        return call

    def arrays(outputs: Any) -> Arrays:
        blocks = {f"encoder_outputs_{n}": block.numpy() for n, block in enumerate(outputs.hidden_states[1:])}
        named = {"sequence_output": outputs.last_hidden_state, "pooled_output": outputs.pooler_output}
        return {**blocks, **{name: tensor.numpy() for name, tensor in named.items()}}

    return Model(
        version=f"transformers {transformers.__version__}, torch {torch.__version__}",
        load=seconds,
        vocabulary=model.config.vocab_size,
        signatures={"serving_default": Signature(prepare=prepare, arrays=arrays)},
    )


if __name__ == "__main__":
    serve(load)
