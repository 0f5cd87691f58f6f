"""corpus.py VOCABULARY FILE COUNT: write texts of realistic lengths, one per line, the same in every run.

Half of them are as long as search queries (a median of 3 words, some of 10), half as long as sentences (a median of 18,
some of 40). Their words are whole tokens of the vocabulary.
"""

import pathlib
import random
import sys

QUERY = (1.1, 0.55)
SENTENCE = (2.9, 0.45)
"""Mean and deviation of the logarithm of the words in a text."""


def texts(words: list[str], count: int, seed: int = 11) -> list[str]:
    """Make texts of random words, queries and sentences mixed."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        length = max(1, round(generator.lognormvariate(*generator.choice((QUERY, SENTENCE)))))
        made.append(" ".join(generator.choice(words) for _ in range(length)))
    return made


def write_corpus(vocabulary: pathlib.Path, file: pathlib.Path, count: int) -> None:
    """Write a corpus of words that are in a vocabulary."""
    tokens = vocabulary.read_text(encoding="utf-8").splitlines()
    words = [token for token in tokens if token.isalnum()]
    file.write_text("".join(f"{text}\n" for text in texts(words, count)), encoding="utf-8")


if __name__ == "__main__":
    write_corpus(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]))
