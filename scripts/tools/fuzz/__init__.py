"""`scripts/fuzz`: sample modules, changed at random where their formats have structure, opened by the commands.

samples                      modules to change: packed ones, checkpoints made of them, exports of them
values, messages             hostile values; any protobuf message, changed field by field
saved_models, checkpoints,   what is changed, by file format
text_files, archives, folders
inputs                       input number N of seed S: a sample, a kind of change, a folder
commands, trial              one command on one input, in a process with limits
outcomes                     counts, and what is kept
"""
