"""Recordings come in, a verdict goes out. numpy only: nothing here runs a model.

battery · joining                             the batches on which two functions are compared, and how they are run
compared · inner_tensors                      what is compared: outputs and inner tensors, by name
comparison · parity · arrays                  the verdict: how large an error is, and how large it may be
contract · calls                              what an export must be besides its numbers, read from its files
hyperparameters · effects                     what its graphs hold besides, and what they may not do

What is expected:

expected                                      features and masked outputs, from the recording of the module
float64                                       a checkpoint's encoder, which has no graph to run, in numpy
named_weights                                 its weights by the publisher's names
layers · bert_formulas · mobilebert_formulas  its formulas
constants                                     constants of formulas, of which graphs hold float32 roundings
"""
