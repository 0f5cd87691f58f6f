"""A program for each runtime (run_*.py), and `exchange`, by which it is asked and answers.

A program imports its runtime, numpy, `exchange` and `c_client`, and nothing else of this project: it must run where
surgery and TensorFlow are not installed. It is started as a file, with the checkout on its path.
"""
