"""Hugging Face folders: a module's weights, config, tokenizer and model card, written for transformers.

The publishers' tables are read backwards here: each target of the encoder gets the name, the layout and the config key
that the same row reads in `surgery convert`. Nothing here imports TensorFlow.
"""
