"""What a module could do besides computing, without running it and without TensorFlow; and the gate before every run.

`scan` looks at every operation of a SavedModel: `operations` is the allowlist, `places` says where an operation stands,
`file_names` which file an operation would open. `gate` lets a module through to whatever runs it.
"""
