"""A program for each runtime (run_*.py), and `exchange`, which reads its requests and writes its answers.

A program imports its runtime, numpy, `exchange` and `c_client`, but nothing else of this project: it must run where
surgery and TensorFlow are not installed. It is started as a file, with the checkout on its path.
"""
