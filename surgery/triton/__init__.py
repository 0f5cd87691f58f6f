"""An export behind NVIDIA's Triton. `scripts/serve-triton` starts it, as `python -m surgery.triton`.

It runs in an environment of its own (the extra `triton`), in which TensorFlow is the only heavy package. Importing this
package loads neither TensorFlow nor Triton.

options     the command line
exported    the export: its folder, name and version, and the signatures to serve
repository  Triton's model repository: a configuration for each signature
endpoints   the addresses at which the server listens, and the choice of free ports
guard       the HTTP service that clients see, which looks at a request before tritonserver does
process     tritonserver: started, awaited, stopped
model       the Python backend's model, which tritonserver runs in a process of its own    TensorFlow

`surgery.batching` decides which requests share a run.
"""
