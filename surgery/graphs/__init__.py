"""Graphs: followed from tensor to tensor through calls, compared by fingerprints, and written out anew.

Read:

calls · functions · names · ordering  calls opened at every spot where they run, and names there
flat · dataflow · reach               every node with its real inputs, and the operations behind a tensor
op_types · examples                   dtypes and shapes of outputs; the features of parsed examples
frames · regions · recurrence         loops and branches, where a tensor has no single value
fingerprints · draws                  whether two tensors are the same computation, or the same random numbers
model_explorer                        values laid over a graph

Written:

flatten                               a graph with its calls written out
merging · inputs                      several graphs as one, with inputs in place of tensors
double · widening · large_products    the same function in double precision
resource_variables · restoring        variables that can be trained, and be restored without the module's operations
"""
