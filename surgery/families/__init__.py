"""Encoder families, one file per table. A new family is one file here and one word in FAMILIES."""

from surgery.families.albert import ALBERT
from surgery.families.bert import BERT
from surgery.families.distilbert import DISTILBERT
from surgery.families.mobilebert import MOBILEBERT
from surgery.families.roberta import ROBERTA
from surgery.families.talking_heads import TALKING_HEADS

FAMILIES = (BERT, ALBERT, MOBILEBERT, DISTILBERT, ROBERTA, TALKING_HEADS)
