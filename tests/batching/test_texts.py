"""Batches of a corpus: every row in one of them, bounded, of like length, and the same each time."""

import random

from surgery.batching.texts import MOST_ROWS, WINDOW, batches, estimated_tokens
from surgery.beam.corpus import Row


def corpus(count, seed=3):
    generator = random.Random(seed)
    return [
        Row("f", line, None, (" ".join("word" for _ in range(generator.randrange(0, 60))),))
        for line in range(1, count + 1)
    ]


def lengths(batch, limit=512):
    return [estimated_tokens(row.texts, limit) for row in batch]


def test_every_row_is_in_one_batch():
    rows = corpus(WINDOW + 1000)
    found = [row for batch in batches(rows, limit=512, tokens=1024) for row in batch]
    assert sorted(found) == rows


def test_batches_are_bounded_in_tokens_and_rows_but_for_one_long_row():
    rows = [*corpus(3000), Row("f", 9999, None, ("word " * 5000,))]
    made = list(batches(rows, limit=400, tokens=300))
    assert all(max(lengths(batch, 400)) * len(batch) <= 300 or len(batch) == 1 for batch in made)
    assert max(lengths(made[0], 400)) == 400
    short = [Row("f", line, None, ("a",)) for line in range(1000)]
    assert max(len(batch) for batch in batches(short, limit=512, tokens=10**6)) == MOST_ROWS


def test_rows_of_a_batch_are_of_like_length():
    rows = corpus(4000)
    padded = sum(max(lengths(batch)) * len(batch) for batch in batches(rows, limit=512, tokens=1024))
    real = sum(lengths(rows))
    unsorted = sum(max(lengths(rows[i : i + 32])) * 32 for i in range(0, len(rows), 32))
    assert padded < 1.03 * real
    assert unsorted > 1.5 * real


def test_the_same_rows_give_the_same_batches():
    rows = corpus(5000)
    assert list(batches(rows, limit=512, tokens=2048)) == list(batches(iter(rows), limit=512, tokens=2048))


def test_the_estimate_orders_texts_as_a_tokenizer_would():
    texts = ["", "a", "two words", "unbelievable!", "深度学习和自然语言", "word " * 50]
    found = [estimated_tokens((text,), 512) for text in texts]
    assert found == sorted(found)
    assert found[0] == 2
    assert estimated_tokens(("word " * 50, "word " * 50), 64) == 64


def test_no_rows_give_no_batches():
    assert list(batches([], limit=512, tokens=100)) == []
