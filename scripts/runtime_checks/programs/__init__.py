"""A program for each runtime (run_*.py), and `exchange`, by which it is asked and answers.

A program imports its runtime, numpy and `exchange`, and nothing else of this project: it must run where surgery and
TensorFlow are not installed. It is started as a file, so that this folder is on its path: no file here may have the
name of a package.
"""
