"""What is drawn is what was computed: every cell of a map has the colour of its value, and nothing touches pyplot."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from surgery.errors import UsageError
from surgery.jobs.attention import document_of
from surgery.plots import Attention, Similarity
from tests.support.running import environment

TOKENS = ("[CLS]", "$x$ $y$", "\x1b[2J", "##b", "[SEP]")


@pytest.fixture(scope="module")
def attention():
    random = np.random.default_rng(3).random((3, 2, 5, 5)).astype(np.float32)
    maps = random / random.sum(-1, keepdims=True)
    maps[2] = maps[0]  # blocks 1 and 7 attend alike
    return Attention(tokens=TOKENS, blocks=(1, 4, 7), probabilities=maps)


def pixels(figure, place=0):
    """The pixels inside the axes of a map, without its title and the names of tokens: [height, width, 4]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    box = figure.axes[place].get_window_extent()
    height = drawn.shape[0]
    return drawn[height - int(box.y1) + 2 : height - int(box.y0) - 2, int(box.x0) + 2 : int(box.x1) - 2]


def cells(image, count):
    """The colour in the middle of each cell of a map: [count, count, 4]."""
    ys, xs = (((np.arange(count) + 0.5) * size / count).astype(int) for size in image.shape[:2])
    return image[np.ix_(ys, xs)]


def colours(values, least, most):
    from matplotlib import colormaps

    return colormaps["viridis"]((values - least) / (most - least), bytes=True)


def test_two_blocks_are_drawn_differently_and_equal_ones_alike(attention):
    first, second, third = (pixels(attention.plot(block=block, heads=[1])) for block in (1, 4, 7))
    assert first.shape == second.shape == third.shape
    assert (first != second).any(axis=-1).mean() > 0.5
    assert np.array_equal(first, third)


def test_every_cell_has_the_colour_of_its_value(attention):
    figure = attention.plot()
    for head in range(2):
        drawn = cells(pixels(figure, head), 5)
        expected = colours(attention.block(7)[head], 0, attention.block(7).max())
        assert np.abs(drawn.astype(int) - expected.astype(int)).max() <= 2


def test_tokens_stand_at_both_axes_and_are_no_formulas(attention):
    place = attention.plot(block=4).axes[0]
    for labels in (place.get_xticklabels(), place.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["[CLS]", "$x$ $y$", "\\x1b[2J", "##b", "[SEP]"]
        assert not any(label.get_parse_math() for label in labels)
    assert place.get_title() == "block 4, head 0"


def test_similarity_is_drawn_from_the_smallest_cosine_to_one():
    cosines = np.array([[1, 0.9, 0.2], [0.9, 1, 0.5], [0.2, 0.5, 1]])
    found = Similarity(
        names=("embedding_output", "encoder_outputs_0", "encoder_outputs_1"), cosines=cosines, texts=1, tokens=4
    )
    drawn = cells(pixels(found.plot()), 3)
    assert np.abs(drawn.astype(int) - colours(cosines, 0.2, 1).astype(int)).max() <= 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"block": 0}, "block=0.*\n.*1, 4, 7"), ({"block": -4}, "block=-4"), ({"heads": 2}, r"heads=\[2\].*0 to 1")],
)
def test_blocks_and_heads_that_are_not_there_are_named(wanted, message, attention):
    with pytest.raises(UsageError, match=message):
        attention.plot(**wanted)


def test_a_figure_shows_itself_in_a_notebook_and_pyplot_is_never_imported():
    code = (
        "import sys, numpy as np; from surgery.plots import Similarity\n"
        "found = Similarity(names=('a', 'b'), cosines=np.eye(2), texts=1, tokens=1)\n"
        "assert 'matplotlib' not in sys.modules, 'it is imported before anything is drawn'\n"
        "print(found.plot()._repr_png_()[:4], 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "b'\\x89PNG' False\n"


def test_without_matplotlib_the_extra_is_named(monkeypatch, attention):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"hub-surgery\[plot\]"):
        attention.plot()


def test_the_document_of_attention_maps_names_no_secret_of_a_handle():
    maps = Attention(tokens=("a",), blocks=(0,), probabilities=np.ones((1, 1, 1, 1), np.float32))
    assert document_of(maps, "a", "https://us:S3CRET@b.org/x", 8)["exported"] == "https://b.org/x"
