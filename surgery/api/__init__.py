"""The Python interface: one function per command. Each returns the frozen result that the command prints.

reading      inspect, scan, plan, taps, graph, diff: need no TensorFlow
pages        report: writes a page of HTML, needs no TensorFlow
exporting    convert, edit, preprocess, tap: write SavedModels
checkpoints  checkpoint: writes a Hugging Face folder
using        verify, serving, extract, load, run: take an export, or any SavedModel
"""
