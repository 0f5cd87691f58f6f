"""The Python interface: one function per command, each returning the frozen result that the command prints.

reading      inspect, plan, graph: need no TensorFlow
exporting    convert, edit, preprocess, tap: write SavedModels
using        verify, serving, extract: take an export
"""
