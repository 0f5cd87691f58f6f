"""The Python behind the commands in `scripts`: a package for each of them, started by the command of its name.

benchmark     what conversions, exports and extractions cost, beside what one would use instead
demo          what the demo shows last: an export in plain TensorFlow
docs          the page of all commands, which is made from their help texts
environments  no Python, but what environments are made of: their packages, and the function that makes one
runtimes      one export in every runtime
"""
