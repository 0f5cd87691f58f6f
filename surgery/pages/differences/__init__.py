"""The sections of a page about two modules side by side. The one document is `diff`, the JSON of that command."""

from surgery.pages.differences.numbers import NUMBERS
from surgery.pages.differences.parts import FACTS, FILES, INTERFACES, OPERATIONS
from surgery.pages.differences.sides import SIDES
from surgery.pages.differences.weights import WEIGHTS
from surgery.pages.section import Section

DIFF: tuple[Section, ...] = (SIDES, WEIGHTS, NUMBERS, INTERFACES, FACTS, OPERATIONS, FILES)
