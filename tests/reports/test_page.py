"""Pages on narrow terminals: lines are folded between words, and a name that people copy is never broken."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.text import Text

import surgery
from surgery.reports import inspect, plan, scan, taps
from surgery.reports.page import Page, Whole, facts, table_of


def drawn(width: int, draw) -> list[str]:
    stream = io.StringIO()
    draw(Page(file=stream, width=width, highlight=False))
    return stream.getvalue().splitlines()


def reports(module):
    planned = surgery.plan(module)
    yield lambda page: inspect.text(page, inspect.data(surgery.inspect(module), variables=True))
    yield lambda page: plan.text(page, plan.data(planned))
    yield lambda page: taps.text(page, taps.data(surgery.TapListing(plan=planned, batch=1, length=128)))
    yield lambda page: scan.text(page, scan.data(surgery.scan(module)))


@pytest.mark.parametrize("name", ["g3_small", "g4_mobilebert"])
def test_a_narrow_page_has_the_words_of_a_wide_one_and_is_no_wider_than_its_longest_word(name, modules):
    for draw in reports(modules(name)):
        words = Counter(" ".join(drawn(1000, draw)).split())
        for width in (80, 40):
            lines = drawn(width, draw)
            assert Counter(" ".join(lines).split()) == words
            for line in lines:
                # A table's shape stays whole, and a word that is too long stands alone.
                assert len(line) <= width or len(line.split("[")[0].split()) <= 2, line
                assert line == line.rstrip()


ROWS = [("first", "4", "a/name/of/twenty/two"), ("second", "12", "b/c (and 3 more)")]


def test_only_the_row_whose_last_cell_is_too_long_gets_a_second_line():
    assert drawn(32, lambda page: table_of(page, ("field", "value", "read at"), ROWS)) == [
        "field   value  read at",
        "first   4",
        "        a/name/of/twenty/two",
        "second  12     b/c (and 3 more)",
    ]
    assert drawn(40, lambda page: table_of(page, ("field", "value", "read at"), ROWS))[1] == (
        "first   4      a/name/of/twenty/two"
    )


def test_columns_for_which_there_is_no_room_go_to_a_line_of_their_own_under_their_heading():
    rows = [("1", "variable/with/a/long/name", "target/with/a/long/name", "[2, 3]")]
    assert drawn(40, lambda page: table_of(page, ("rule", "variable", "target", "shape"), rows)) == [
        "rule  variable",
        "      target                   shape",
        "1     variable/with/a/long/name",
        "      target/with/a/long/name  [2, 3]",
    ]


def test_types_and_calls_stay_whole_in_a_cell():
    rows = [("a_name", "list of 3 x float32 [?, ?, 64], mlm(dict, training=True).logits")]
    assert drawn(24, lambda page: table_of(page, ("key", "what"), rows))[2:] == [
        "        list of 3 x",
        "        float32 [?, ?, 64],",
        "        mlm(dict, training=True).logits",
    ]


def test_a_path_with_blanks_stays_whole_and_letters_of_two_columns_are_counted():
    path = "/srv/my models/bert"
    assert drawn(20, lambda page: facts(page, [("folder", Whole(path))])) == ["folder", f"        {path}"]
    assert drawn(20, lambda page: facts(page, [("folder", path)]))[1:] == ["        models/bert"]
    assert drawn(8, lambda page: page.print("a_very_long_name and")) == ["a_very_long_name", "and"]
    assert drawn(8, lambda page: page.print(Text("模型 模型 x"))) == ["模型", "模型 x"]
