"""`scripts/benchmark`, and the `programs` that it starts as processes of their own.

The benchmark itself never imports TensorFlow. A large parent would show in the memory of its children, because a
process starts with the peak of the process that started it.
"""
