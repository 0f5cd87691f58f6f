"""The sections of a module's page, in their order. A new section is one file here, one template, and one word below."""

from surgery.pages.section import Section
from surgery.pages.sections.about import ABOUT
from surgery.pages.sections.architecture import ARCHITECTURE
from surgery.pages.sections.attention import ATTENTION
from surgery.pages.sections.proof import PROOF
from surgery.pages.sections.provenance import PROVENANCE
from surgery.pages.sections.safety import SAFETY
from surgery.pages.sections.signatures import SIGNATURES
from surgery.pages.sections.sizes import SIZES
from surgery.pages.sections.weights import WEIGHTS

MODULE: tuple[Section, ...] = (ABOUT, PROOF, ARCHITECTURE, ATTENTION, WEIGHTS, SIGNATURES, SIZES, SAFETY, PROVENANCE)
