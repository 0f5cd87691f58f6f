"""torch_loop.py VOCABULARY CORPUS: the same extraction with transformers on torch, and a model of the same sizes.

Batches have 32 texts in the corpus's order, padded to the longest of them, as in transformers' feature-extraction
pipeline. The weights are random: the time of a matrix product does not depend on its values.
"""

import json
import pathlib
import sys
import time

BATCH = 32


def features(vocabulary: str, corpus: str) -> dict[str, float]:
    """Run the loop over a corpus, and return the seconds and the texts."""
    started = time.perf_counter()
    import torch
    import transformers

    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary, do_lower_case=True)
    model = transformers.BertModel(transformers.BertConfig()).eval()
    lines = pathlib.Path(corpus).read_text(encoding="utf-8").splitlines()
    assert tokenizer.unk_token_id not in tokenizer(lines[0])["input_ids"], f"{vocabulary} was not read"
    loaded = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(lines), BATCH):
            batch = tokenizer(lines[start : start + BATCH], padding=True, truncation=True, return_tensors="pt")
            model(**batch).pooler_output.numpy()
    done = time.perf_counter()
    return {"seconds": done - started, "loop": done - loaded, "texts": len(lines)}


if __name__ == "__main__":
    print(json.dumps(features(*sys.argv[1:3])))
