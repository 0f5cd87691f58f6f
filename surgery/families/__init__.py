"""Encoder families, one table a file. A new family is one file here and one word in FAMILIES."""

from surgery.families.bert import BERT

FAMILIES = (BERT,)
