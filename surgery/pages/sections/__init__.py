"""The sections of a module's page, in their order. A new section is one file here, one template, and one word below."""

from surgery.pages.section import Section
from surgery.pages.sections.about import ABOUT
from surgery.pages.sections.safety import SAFETY

MODULE: tuple[Section, ...] = (ABOUT, SAFETY)
