"""A plugin: which tests run in one worker, one after the other, and which of them are slow.

Tests that are about the same sample are one group: what is made of it for a session is then made in one worker, and
no worker waits for what the other one converts (tests/support/once.py). Every file's other tests are a group, too,
since they share what the file prepares. The groups are read from the names of the tests: those
are all that the process knows that hands the tests out.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.sample_names import BUILT, PUBLISHED, SAMPLES, SHARP_SAMPLES, TRANSFORMERS_SAMPLES

SLOW = (
    "tests/whole/",
    "tests/tools/",
    "tests/triton/",
    "tests/docs/test_notebook.py",
    "tests/docs/test_walk_through.py",
)
"""Whole jobs: what they do takes seconds, and all of it takes minutes."""

BY_SAMPLE = ("tests/whole/convert/", "tests/whole/verify/")
"""Folders whose tests share conversions of samples."""

OF_ONE_SAMPLE = {"tests/whole/convert/test_tap_loaders.py": "hf_bert", "tests/whole/verify/test_taps.py": "hf_bert"}
"""Files about the conversion of one sample with every tap, which they do not name among their parameters."""

OF_TEXTS = ("tests/whole/texts/", "tests/whole/extract/", "tests/whole/serving/test_requests.py")
"""What shares the text exports."""

IN_BROWSER = "tests/browser/"
"""What shares one Chromium."""

OF_TRITON = "tests/triton/"
"""What shares the environment of Triton, which takes minutes to make."""

NAMES = sorted(
    map(re.escape, (*SAMPLES, *SHARP_SAMPLES, *TRANSFORMERS_SAMPLES, *PUBLISHED, *BUILT)), key=len, reverse=True
)
NAMED = re.compile(rf"(?:^|-)({'|'.join(NAMES)})(?:-|$)")


def group_of(name: str) -> str:
    """The sample that stands among a test's parameters, or the text exports, or Triton, else its file."""
    file, _, test = name.partition("::")
    if file.startswith(OF_TRITON):
        return "triton"
    if file.startswith(IN_BROWSER):
        return "browser"
    if file.startswith(OF_TEXTS):
        return "texts"
    parameters = test.partition("[")[2].removesuffix("]")
    found = NAMED.search(parameters) if file.startswith(BY_SAMPLE) else None
    return found[1] if found else OF_ONE_SAMPLE.get(file, file)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow tests, and puts those of a group together, so that each sample has its turn without xdist, too."""
    places: dict[str, int] = {}
    for item in items:
        places.setdefault(group_of(item.nodeid), len(places))
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: places[group_of(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out whole groups with `--dist loadgroup`.

    The scheduler of that name reads groups from marks, which xdist 3.8 no longer sees with pytest 9.2.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)
