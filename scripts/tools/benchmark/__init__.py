"""`scripts/benchmark`, and the `programs` that it starts as processes of their own.

Nothing that the benchmark itself imports loads TensorFlow: a large parent would show in the memory of its
children, because a process starts out with the peak of the one that started it.
"""
