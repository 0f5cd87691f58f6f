"""The Python code behind the commands in `scripts`: one package per command, started by the command of its name.

benchmark     the costs of conversions, exports and extractions, beside the costs of their alternatives
demo          the last step of the demo: an export in plain TensorFlow
docs          the page of all commands, which is made from their help texts
environments  lists of the packages of each environment, and the shell function that makes one; no Python
runtimes      one export in every runtime
"""
