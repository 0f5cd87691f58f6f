"""What `scripts/serve-triton` is made of.

options     the command line
exported    the export: its folder, name and version, and the signatures to serve       no TensorFlow
repository  Triton's model repository: a configuration for each signature               no TensorFlow
process     tritonserver: started, awaited, stopped
batching    which requests share a run; padding them and cutting their answers          numpy
probing     how a signature behaves: the axes that follow the sequence, whether padding is exact
model       the Python backend's model, which tritonserver runs in a process of its own    TensorFlow
"""
