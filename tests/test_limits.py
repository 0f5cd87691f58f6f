"""The table of limits, and the error of one that does not suffice."""

import re
from pathlib import Path

import pytest

from surgery import limits
from surgery.errors import LimitError, UsageError


def test_a_limit_error_names_the_limit_its_value_what_was_found_and_the_option():
    limits.check("files", 10_000, "unpacking a.zip")
    with pytest.raises(LimitError) as error:
        limits.check("files", 10_001, "unpacking a.zip")
    assert str(error.value) == (
        "unpacking a.zip: the limit files is 10000 files (the files and folders of an archive), found 10001\n"
        "  what to do: if you trust the module, raise the limit: limits={'files': 10001}"
    )


def test_a_raised_limit_holds_for_its_block_only():
    with limits.raised({"files": 20_000}), limits.raised({"functions": 1}):
        limits.check("files", 10_001, "unpacking a.zip")
        assert limits.changed() == {"files": 20_000, "functions": 1}
    with pytest.raises(LimitError):
        limits.check("files", 10_001, "unpacking a.zip")


@pytest.mark.parametrize("values", [{"file": 1}, {"files": 0}, {"files": True}, {"files": "9"}])
def test_a_wrong_limit_is_refused(values):
    with pytest.raises(UsageError, match="limits="), limits.raised(values):
        pass


def test_the_documentation_lists_every_limit():
    page = (Path(__file__).parents[1] / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([0-9.,]+) ", page, re.MULTILINE))
    assert rows.keys() == limits.LIMITS.keys()
    for name, shown in rows.items():
        unit = 1 if limits.LIMITS[name].unit != "bytes" else limits.GIB if name == "unpacked_bytes" else limits.MIB
        assert int(shown.replace(",", "")) * unit == limits.LIMITS[name].default, name
