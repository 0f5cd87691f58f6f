"""Encoder families, one table a file. A new family is one file here and one word in FAMILIES."""

from surgery.families.albert import ALBERT
from surgery.families.bert import BERT
from surgery.families.mobilebert import MOBILEBERT

FAMILIES = (BERT, ALBERT, MOBILEBERT)
