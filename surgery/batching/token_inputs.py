"""The tokens of a batch in every form that people pass them to a BERT, by the names of TF Hub's inputs.

    ids                                                  the token ids alone
    [ids, mask]    [ids, mask, types]                    by position, in the order of TF Hub's first modules
    {"input_ids": ids, "attention_mask": mask}           by name, with the names of TF Hub, Hugging Face or TensorFlow 1
    ids, attention_mask=mask                             both

`named` finds out which value is which input, and `completed` fills in the missing ones. Neither knows a framework, so
numpy's arrays, tensors and Keras's symbolic tensors can be passed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from surgery.batching import MASK, TYPE_IDS, WORD_IDS
from surgery.errors import UsageError
from surgery.wording import did_you_mean

SPELLINGS = {
    WORD_IDS: (WORD_IDS, "input_ids", "word_ids", "token_ids"),
    MASK: (MASK, "attention_mask", "padding_mask"),
    TYPE_IDS: (TYPE_IDS, "token_type_ids", "segment_ids", "type_ids"),
}
"""The names that people pass, by the name of the input; in the order of the inputs of a list."""
INTEGERS = ("int", "uint", "bool")
"""What the dtypes that can be tokens, masks and types begin with."""
FORMS = "ids, [ids, mask, types], or a dict with the keys " + ", ".join(SPELLINGS)


def named(
    given: Any = None, keywords: Mapping[str, Any] | None = None, *, others: Iterable[str] = ()
) -> dict[str, Any]:
    """The inputs of one call by TF Hub's names, in the order of SPELLINGS.

    Args:
        given: The first argument of the call: an array or tensor of ids, a list of two or three of them, or a mapping.
        keywords: The call's other arguments by name. An argument that is None counts as missing.
        others: Names of further inputs that the call has, such as `masked_lm_positions`.

    Raises UsageError for no token ids, a name that no input has, an input that is there twice, a text, and a value
    that is not [batch, seq].
    """
    known = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    known |= {name: name for name in others}
    found: dict[str, Any] = {}
    for spelling, value in [*_by_spelling(given).items(), *(keywords or {}).items()]:
        if value is None:
            continue
        if spelling not in known:
            meant = did_you_mean(get_close_matches(str(spelling), known, n=2, cutoff=0.6))
            raise UsageError(
                f"the inputs have {spelling!r}, which is none of {', '.join(known)}",
                hint=f"{meant + ' If not, ' if meant else ''}leave it out; expected {FORMS}",
            )
        if known[spelling] in found:
            raise UsageError(f"the inputs have {known[spelling]} twice: the second time as {spelling!r}")
        found[known[spelling]] = value
    if WORD_IDS not in found:
        raise UsageError(
            f"the inputs have no token ids, found {', '.join(found) or 'nothing'}", hint=f"expected {FORMS}"
        )
    return {name: found[name] for name in (*SPELLINGS, *others) if name in found}


def completed(
    given: Mapping[str, Any],
    cast: Callable[[Any, str], Any],
    *,
    pad: int = 0,
    taken: Collection[str] = tuple(SPELLINGS),
) -> dict[str, Any]:
    """The inputs that a call takes as int32 [batch, seq], from the ones that `named` found.

    A missing mask is 1 for every id except `pad`, the id of padding; missing token types are 0: one sentence per text.

    Args:
        given: Inputs by TF Hub's names. Further ones, such as `masked_lm_positions`, become int32 as well.
        cast: Makes an array or tensor of a framework from a value: `lambda x, dtype: np.asarray(x).astype(dtype)`.
        pad: The id of padding, 0 in the vocabularies that Google published.
        taken: The inputs that the call takes, by TF Hub's names.

    Raises UsageError for values that are no integers, for a mask or types of another shape than the ids, and for an
    input that the call does not take.
    """
    if TYPE_IDS in given and TYPE_IDS not in taken:
        raise UsageError(
            f"the inputs have {TYPE_IDS}, and this encoder has no token types to choose from",
            hint=f"leave them out: it takes {', '.join(name for name in SPELLINGS if name in taken)}",
        )
    for name, value in given.items():
        _check_dtype(name, value)
    whole = {name: cast(value, "int32") for name, value in given.items()}
    ids = whole[WORD_IDS]
    for name in (MASK, TYPE_IDS):
        if name in whole and not _can_be_equal(_shape(whole[name]), _shape(ids)):
            raise UsageError(f"{name} is {_text(_shape(whole[name]))}, and {WORD_IDS} is {_text(_shape(ids))}")
    filled = {WORD_IDS: ids, MASK: whole[MASK] if MASK in whole else cast(ids != pad, "int32")}
    if TYPE_IDS in taken:
        filled[TYPE_IDS] = whole[TYPE_IDS] if TYPE_IDS in whole else ids * 0
    return {**filled, **whole}


def _by_spelling(given: Any) -> Mapping[str, Any]:
    """The first argument of a call as inputs by some of their names."""
    if given is None:
        return {}
    # The tokenizers of Hugging Face return a UserDict: a mapping, but no dict.
    if isinstance(given, Mapping):
        return given
    if any(map(_is_text, given if isinstance(given, list | tuple) else [given])):
        raise UsageError(
            "the inputs are a text, expected token ids",
            hint="a text is encoded by surgery.load(folder) of an export for texts, or by a tokenizer beforehand",
        )
    if not isinstance(given, list | tuple):
        return {WORD_IDS: given}
    ranks = {_rank(item) for item in given}
    if not 1 <= len(given) <= len(SPELLINGS) or ranks - {2, None}:
        # [[101, 7, 102], [1, 1, 1]] could be two texts, or one text and its mask.
        raise UsageError(
            f"the inputs are a list of {len(given)}, expected up to three arrays or tensors [batch, seq]",
            hint=f"write np.array(ids) for ids alone; expected {FORMS}",
        )
    return dict(zip(SPELLINGS, given, strict=False))


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes) or _dtype(value).startswith(("str", "<U", "|S"))


def _check_dtype(name: str, value: Any) -> None:
    dtype = _dtype(value)
    if dtype and not dtype.startswith(INTEGERS):
        raise UsageError(
            f"{name} is {dtype}, expected integers [batch, seq]",
            hint="keras.Input is float32 unless dtype='int32' says otherwise" if dtype == "float32" else None,
        )
    if (rank := _rank(value)) not in (2, None):
        raise UsageError(
            f"{name} has {rank} axes, expected [batch, seq]", hint="one text needs a batch of one: ids[None, :]"
        )


def _dtype(value: Any) -> str:
    """The name of a value's dtype, as numpy, TensorFlow and Keras name them; empty if the value does not say."""
    dtype = getattr(value, "dtype", "")
    return str(getattr(dtype, "name", dtype))


def _shape(value: Any) -> tuple[int | None, ...] | None:
    """The sizes of a value's axes, None where they are free; None for a value that does not say."""
    try:
        return tuple(getattr(value, "shape", None) or ())
    except ValueError:  # a tensor of unknown rank
        return None


def _rank(value: Any) -> int | None:
    """The number of a value's axes, lists of lists included; None if it is not known."""
    if isinstance(value, list | tuple):
        below = _rank(value[0]) if value else 0
        return None if below is None else below + 1
    shape = _shape(value)
    return None if shape is None else len(shape)


def _can_be_equal(one: tuple[int | None, ...] | None, other: tuple[int | None, ...] | None) -> bool:
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


def _text(shape: tuple[int | None, ...] | None) -> str:
    return "of unknown shape" if shape is None else "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"
