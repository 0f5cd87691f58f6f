"""make_module.py FOLDER SIZE: write a BERT module with random weights in the dict form of TF Hub.

Model Garden's own TF Hub exporter writes it, so that the module has the graph, the names, the call interface and the
masked language model of a published module. Only its weights are made up. They are large enough that every block
changes its input visibly, and different in every variable, so that a swapped or transposed weight shows.
"""

import pathlib
import shutil
import sys
from typing import Any

from surgery.scratch import scratch_folder

SIZES: dict[str, dict[str, int]] = {
    "base": {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    },
    "small": {
        "vocab_size": 1000,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
    },
}
SPECIAL_TOKENS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}


def write_vocab(path: pathlib.Path, size: int) -> None:
    """Write a WordPiece vocabulary with the special tokens at BERT's positions."""
    tokens = (SPECIAL_TOKENS.get(i, f"[unused{i}]" if i < min(1000, size // 2) else f"word{i}") for i in range(size))
    path.write_text("".join(f"{token}\n" for token in tokens))


def fill_randomly(variables: list[Any], seed: int = 7) -> None:
    """Give every variable its own random values, of the magnitudes of trained weights."""
    import numpy as np

    generator = np.random.default_rng(seed)
    for variable in variables:
        noise = generator.standard_normal(tuple(variable.shape), dtype=np.float32)
        if variable.name.endswith("gamma:0"):
            value = 1.0 + 0.1 * noise
        elif variable.name.endswith(("beta:0", "bias:0")):
            value = 0.1 * noise
        else:
            value = 0.04 * noise
        variable.assign(value)


def write_module(folder: pathlib.Path, size: str) -> None:
    """Write a module of one of the SIZES into a folder that does not exist yet."""
    import tensorflow as tf
    from official.legacy.bert import configs
    from official.modeling import tf_utils
    from official.nlp.modeling import models
    from official.nlp.tools import export_tfhub_lib

    config = configs.BertConfig(hidden_act="gelu", **SIZES[size])
    pretrainer = models.BertPretrainerV2(
        encoder_network=export_tfhub_lib.get_bert_encoder(config),
        mlm_activation=tf_utils.get_activation(config.hidden_act),
    )
    pretrainer(pretrainer.inputs)
    fill_randomly(pretrainer.variables)
    with scratch_folder() as scratch:
        vocab = scratch / "vocab.txt"
        write_vocab(vocab, config.vocab_size)
        prefix = str(scratch / "pretrainer")
        checkpoint = tf.train.Checkpoint(**pretrainer.checkpoint_items).save(prefix)
        staged = folder.with_name(folder.name + ".partial")
        shutil.rmtree(staged, ignore_errors=True)
        export_tfhub_lib.export_model(
            str(staged),
            bert_config=config,
            model_checkpoint_path=checkpoint,
            with_mlm=True,
            vocab_file=str(vocab),
            do_lower_case=True,
        )
    staged.rename(folder)


if __name__ == "__main__":
    write_module(pathlib.Path(sys.argv[1]), sys.argv[2])
