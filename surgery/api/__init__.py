"""The Python interface: one function per command. Each returns the frozen result that the command prints.

reading      inspect, plan, graph: need no TensorFlow
exporting    convert, edit, preprocess, tap: write SavedModels
using        verify, serving, extract: take an export
"""
