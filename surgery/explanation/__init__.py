"""Explains a module: its family, its hyperparameters with the evidence for each, and the way of every weight.

inspection                          `explain_module`: a module with its inference, or the reason why there is none
architecture                        what is known at the end: Architecture, and Inference with the evidence
inferring                           `infer_architecture`, which asks all of these:

recognition · claims                the family whose rows claim every variable, each by exactly one row
gathering                           observations, and the values or errors that follow from all of them
config · graph_evidence · sizes     who observes: in a config, in the graph at the family's anchors, in shapes
embedded · ends                     where the encoder begins and ends in the graph of a larger model
convention · outputs · pooled       how the module is called, and what the encoder returns
heads                               the head around the encoder
heads_in_graphs · heads_in_configs  where it is read

Beside the architecture:

assignment · groups                 the way of every variable, and the part of the model to which it belongs
tokenization · vocabulary           the tokenizer that makes a module's word ids
"""
