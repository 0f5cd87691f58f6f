"""make_checkpoint.py WEIGHTS SIZES FOLDER: write a checkpoint that transformers reads, from weights by its names."""

import json
import sys
from pathlib import Path

import numpy as np


def main(weights: Path, sizes: Path, folder: Path) -> None:
    """Write the checkpoint; the folder appears when it is complete."""
    import torch
    import transformers

    config = transformers.BertConfig(**json.loads(sizes.read_text()), hidden_act="gelu_pytorch_tanh")
    model = transformers.BertModel(config)
    with np.load(weights) as stored:
        values = {name: torch.from_numpy(np.ascontiguousarray(stored[name])) for name in stored.files}
    missing, unexpected = model.load_state_dict(values, strict=False)
    assert not unexpected, unexpected
    assert all("position_ids" in name or "token_type_ids" in name for name in missing), missing
    staged = folder.with_name(f"{folder.name}.partial")
    model.save_pretrained(staged)
    staged.rename(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
