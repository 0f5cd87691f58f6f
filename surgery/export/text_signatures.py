"""The signatures of an export that take texts, and which of them to run for the outputs that are wanted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from surgery.arguments import argument
from surgery.batching import WORD_IDS
from surgery.batching.sharing import is_matrix
from surgery.batching.token_inputs import SPELLINGS
from surgery.errors import UsageError
from surgery.explanation.outputs import split_entry
from surgery.export.manifest import read_packed
from surgery.module import DEFAULT_SIGNATURE, InspectedModule, SignatureInfo, TensorInfo
from surgery.planning.outputs import DEPTH
from surgery.planning.texts import text_destination
from surgery.sources.files import SAVED_MODEL
from surgery.wording import did_you_mean

TEXT, PAIR = "text", "text_pair"
TOKENS = 0
"""In the place of a number of texts: token ids, their mask and their types."""
KINDS = {TOKENS: "tokens", 1: "texts", 2: "pairs of texts"}


class Part(NamedTuple):
    """A signature, and those of its outputs for which it is run.

    Attributes:
        signature: The signature.
        outputs: Names of outputs.
    """

    signature: SignatureInfo
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TextSignatures:
    """The signatures of an export that take texts or tokens, as they are when the export is opened.

    Attributes:
        module: The export.
        packed: The signatures that leave padding out.
    """

    module: InspectedModule
    packed: frozenset[str]

    @classmethod
    def of(cls, module: InspectedModule) -> TextSignatures:
        """The signatures of an export whose files are open."""
        return cls(module=module, packed=frozenset(read_packed(Path(module.folder))))

    def taking(self, count: int) -> list[SignatureInfo]:
        """The signatures that take so many texts, or TOKENS. The usual one comes first, those of a depth come last.

        Small ones stand before others. `serving_default` is left out where it is `text` by another name.
        """
        known = self.module.signatures
        usual = PAIR if count == 2 else _usual(known)
        found = [
            signature
            for name, signature in known.items()
            if _takes(signature, count)
            if name != DEFAULT_SIGNATURE or TEXT not in known
        ]
        return sorted(found, key=lambda s: (s.name != usual, _of_depth(s), len(s.outputs), s.name))

    def entries(self, name: str, count: int) -> dict[int, str]:
        """The outputs NAME_0, NAME_1, … of these signatures, by number."""
        keys = dict.fromkeys(tensor.key for signature in self.taking(count) for tensor in signature.outputs)
        found = {entry[1]: key for key in keys if (entry := split_entry(key)) is not None and entry[0] == name}
        return dict(sorted(found.items()))

    def vectors(self, count: int, signature: str | None) -> tuple[str, ...]:
        """The outputs that are one vector per text, of a signature or the usual one; all outputs if there is none."""
        found = self._choose(count, signature)
        vectors = tuple(t.key for t in found.outputs if t.shape is not None and None not in t.shape[1:])
        return vectors or tuple(tensor.key for tensor in found.outputs)

    def parts(self, outputs: Sequence[str], count: int, signature: str | None) -> list[Part]:
        """The signatures to run for outputs: one where one has them all, if possible one that leaves padding out.

        An output of one name is the same tensor in every signature, except in those of a depth, which are run only by
        name. Raises UsageError for an output or a signature that does not exist.
        """
        wanted = tuple(dict.fromkeys(outputs))
        chosen = self._choose(count, signature)
        candidates = [chosen] if signature is not None else [s for s in self.taking(count) if not _of_depth(s)]
        self._check(wanted, candidates, signature)
        whole = [s for s in candidates if all(output_of(s, name) for name in wanted)]
        if whole:
            return [Part(self._smallest(whole[0], whole), wanted)]
        parts: dict[str, list[str]] = {}
        for name in wanted:
            parts.setdefault(next(s.name for s in candidates if output_of(s, name)), []).append(name)
        return [Part(s, tuple(parts[s.name])) for s in candidates if s.name in parts]

    def usual(self, outputs: Sequence[str] | None) -> str:
        """The one signature to run if none is named: `text`, or a smaller one that has the outputs, without padding.

        Where there is no `text`, it is `serving_default`, which takes texts only in a text export.
        """
        known = self.module.signatures
        name = _usual(known)
        if not outputs or name not in known:
            return name
        alike = [s for s in known.values() if _keys(s.inputs) == _keys(known[name].inputs) and not _of_depth(s)]
        return self._smallest(known[name], [s for s in alike if _keys(s.outputs) >= set(outputs)]).name

    def named(self, name: str, exported: str) -> SignatureInfo:
        """The signature of a name. Raises UsageError if there is none, or if it takes anything but texts.

        `exported` is the path that the caller gave, beside which the error looks for a text export.
        """
        known = self.module.signatures
        if name not in known:
            raise UsageError(
                f"{argument('signature', name)}: {self.module.name} has no such signature",
                hint="it has " + (", ".join(sorted(known)) or "none"),
            )
        found = known[name]
        if not found.inputs or not all(map(_is_text, found.inputs)):
            beside = text_destination(Path(exported))
            raise UsageError(
                f"the signature {name} of {self.module.name} takes "
                f"{', '.join(map(_described, found.inputs)) or 'nothing'}: expected texts, string [batch]",
                hint=f"its text export takes them: {beside}"
                if (beside / SAVED_MODEL).is_file()
                else f"convert the module with {argument('text', True)}: that writes one which does",
            )
        return found

    def _smallest(self, usual: SignatureInfo, fitting: Iterable[SignatureInfo]) -> SignatureInfo:
        """Of signatures that have the outputs, the smallest that leaves padding out; the usual one if it does, too.

        Only the manifest of an export says which do. Its outputs of one name are the same tensor in every signature but
        those of a depth, whose `sequence_output` is that of a shallower encoder.
        """
        small = [] if usual.name in self.packed else [s for s in fitting if s.name in self.packed]
        return min(small, key=lambda s: len(s.outputs), default=usual)

    def _choose(self, count: int, name: str | None) -> SignatureInfo:
        taking = self.taking(count)
        found = next((signature for signature in taking if name in (None, signature.name)), None)
        if found is None:
            what = KINDS[count]
            asked = f"signature for {what}" if name is None else f"{argument('signature', name)} for {what}"
            raise UsageError(
                f"running {self.module.name}: it has no {asked}",
                hint="it has " + (", ".join(s.name for s in taking) or f"none for {what}"),
            )
        return found

    def _check(self, wanted: Sequence[str], candidates: Sequence[SignatureInfo], signature: str | None) -> None:
        lacking = [name for name in wanted if not any(output_of(s, name) for s in candidates)]
        if lacking:
            known = list(dict.fromkeys(tensor.key for s in candidates for tensor in s.outputs))
            raise UsageError(
                f"{argument('outputs', lacking)}: "
                + (f"the signature {signature} of {self.module.name}" if signature else self.module.name)
                + f" has no such output{'' if len(lacking) == 1 else 's'}",
                hint=did_you_mean(get_close_matches(lacking[0], known, 2)) or "it has " + ", ".join(known),
            )


def output_of(signature: SignatureInfo, key: str) -> TensorInfo | None:
    """An output of a signature by its key; None where it has none of that key."""
    return next((tensor for tensor in signature.outputs if tensor.key == key), None)


def _usual(known: Container[str]) -> str:
    return TEXT if TEXT in known else DEFAULT_SIGNATURE


def _keys(tensors: Iterable[TensorInfo]) -> set[str]:
    return {tensor.key for tensor in tensors}


def _is_text(tensor: TensorInfo) -> bool:
    return tensor.dtype == "string" and tensor.shape == (None,)


def _takes(signature: SignatureInfo, count: int) -> bool:
    if count == TOKENS:
        keys = {tensor.key for tensor in signature.inputs if tensor.dtype == "int32" and is_matrix(tensor.shape)}
        return len(keys) == len(signature.inputs) and WORD_IDS in keys and keys <= SPELLINGS.keys()
    return len(signature.inputs) == count and all(map(_is_text, signature.inputs))


def _of_depth(signature: SignatureInfo) -> bool:
    return signature.name.startswith(DEPTH)


def _described(tensor: TensorInfo) -> str:
    return f"{tensor.key} ({tensor.dtype})"
