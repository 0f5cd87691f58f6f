"""An export that is ready to run: texts or tokens in, arrays out, with what can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from surgery.arguments import OneOrMore, argument, one_or_more
from surgery.batching import BATCH_TOKENS, MASK, WORD_IDS
from surgery.batching.token_arrays import token_arrays
from surgery.batching.token_inputs import named
from surgery.boundary import public
from surgery.errors import ModuleError, UsageError
from surgery.explanation.outputs import EMBEDDING
from surgery.export.text_signatures import TOKENS, Part, TextSignatures, output_of
from surgery.jobs.text_runner import Outputs, Row, Text, TextRunner, Texts, is_one, joined, rows_of
from surgery.limits import Limits
from surgery.module import TensorInfo
from surgery.plots import Attention, Similarity
from surgery.progress import Progress, silent
from surgery.results import Brief

ATTENTION = "attention_probs"
BLOCK = "encoder_outputs"


class LoadedExport(Brief):
    """An export that is ready to run. `surgery.load` makes it.

    A text export takes texts: a text is a string, and a pair of texts, which become one row with a [SEP] between them,
    is a tuple of two. Texts are cut at `seq_length` tokens. Any other export takes token ids. The weights stay in
    memory until `close()`, or the end of a `with` block.
    """

    def __init__(
        self,
        exported: str,
        signatures: TextSignatures,
        runner: TextRunner,
        *,
        seq_length: int,
        vocabulary: Sequence[str],
        no_texts: UsageError | None,
        pad: int,
    ) -> None:
        """`no_texts` is the error that says where texts are taken, if this export takes tokens only.

        `pad` is the id of padding.
        """
        self._exported = exported
        self._name = signatures.module.name
        self._signatures = signatures
        self._runner = runner
        self._seq_length = seq_length
        self._vocabulary = vocabulary
        self._no_texts = no_texts
        self._pad = pad

    @property
    def exported(self) -> str:
        """The folder of the export."""
        return self._exported

    @property
    def seq_length(self) -> int:
        """The most tokens of a row. Longer texts are cut."""
        return self._seq_length

    @property
    def signatures(self) -> dict[str, tuple[str, ...]]:
        """The outputs of each signature that takes texts, or of each that takes tokens."""
        kinds = (1, 2) if self._no_texts is None else (TOKENS,)
        return {s.name: tuple(t.key for t in s.outputs) for kind in kinds for s in self._signatures.taking(kind)}

    @public
    def encode(
        self,
        texts: Texts | Any = None,
        *,
        outputs: OneOrMore[str] | None = None,
        signature: str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        limits: Limits = None,
        progress: Progress | None = None,
        **tokens: Any,
    ) -> dict[str, np.ndarray]:
        """Computes outputs of texts, in the order of the texts, or of tokens.

        Texts of similar length are run together, so that little padding is computed.

        Args:
            texts: One text or several; a pair of texts is a tuple. For an export that takes tokens, integers [batch,
                seq]: the ids, a list `[ids, mask]` or `[ids, mask, types]`, or a mapping with the names of TF Hub,
                Hugging Face or TensorFlow 1. A missing mask hides the id of padding, and missing types are 0.
            outputs: Names of outputs, such as `"pooled_output"` or `"encoder_outputs_3"`. None for those that are one
                vector per text.
            signature: The signature to run; None for the smallest that has the outputs.
            batch_tokens: The most tokens of a batch, padding included.
            limits: As for `surgery.inspect`.
            progress: As for `surgery.convert`; a unit is a text.
            tokens: The same by name, such as `input_ids=ids, attention_mask=mask`.

        Returns:
            An array by output, with the texts as axis 0: `pooled_output` is float32 [texts, hidden]. Outputs with a
            sequence axis, such as float32 [texts, seq, hidden], are as long as the longest text and zero after the end
            of each. `input_mask`, int32 [texts, seq] with 1 for a token, then comes with them. Of tokens, the arrays
            are those of the signature, padding included.

        Raises:
            UsageError: `texts` are no texts or tokens, or the export has no such output or signature.
            ModuleError: The export cannot be run.

        Examples:
            ```python
            model = surgery.load("out/bert_text/1")
            vectors = model.encode(["the first text", "another"], outputs="pooled_output")["pooled_output"]
            ```
        """
        if self._no_texts is not None:
            if _is_texts(texts):
                raise self._no_texts
            parts, described = self._wanted(TOKENS, outputs, signature)
            taken = [tensor.key for tensor in parts[0].signature.inputs]
            inputs = token_arrays(named(texts, tokens), pad=self._pad, taken=taken)
            found: list[Outputs] = [{} for _ in inputs[WORD_IDS]]
            for part in parts:
                more = self._runner.tokens(inputs, part, batch_tokens, progress or silent)
                found = [{**row, **values} for row, values in zip(found, more, strict=True)]
        else:
            if tokens:
                raise UsageError(
                    f"encoding with {self._name}: it takes texts, found {', '.join(tokens)}",
                    hint="load the export beside it, which takes tokens",
                )
            rows, count = rows_of(texts)
            parts, described = self._wanted(count, outputs, signature)
            ragged = any(None in (tensor.shape or (None, None))[1:] for tensor in described.values())
            masked = output_of(parts[0].signature, MASK)
            if ragged and MASK not in described and masked is not None:
                parts[0] = Part(parts[0].signature, (*parts[0].outputs, MASK))
                described[MASK] = masked
            found = self._runner.run(rows, parts, batch_tokens, progress or silent)
        return {key: joined([row[key] for row in found], tensor) for key, tensor in described.items()}

    @public
    def tokens(self, texts: Texts, *, limits: Limits = None) -> list[list[str]] | list[str]:
        """The tokens that the encoder sees, with [CLS] and [SEP], and cut where a text is too long.

        Args:
            texts: As for `encode`.
            limits: As for `surgery.inspect`.

        Returns:
            A list of tokens per text; of one text alone, its list.

        Raises:
            UsageError: `texts` are no strings.
            ModuleError: The export does not name its vocabulary, because its manifest is missing.

        Examples:
            ```python
            surgery.load("out/bert_text/1").tokens("unaffable")  # ['[CLS]', 'una', '##ffa', '##ble', '[SEP]']
            ```
        """
        rows, count = self._rows_of(texts)
        parts = self._signatures.parts((WORD_IDS,), count, None)
        found = [self._pieces(row[WORD_IDS]) for row in self._runner.run(rows, parts, BATCH_TOKENS, silent)]
        return found[0] if is_one(texts) else found

    @public
    def attention(self, text: Text, *, limits: Limits = None) -> Attention:
        """The attention maps of a text: for each head of each block, how much every token looks at every other.

        Args:
            text: One text, or a pair.
            limits: As for `surgery.inspect`.

        Returns:
            The tokens, and the maps as float32 [blocks, heads, seq, seq]; each row sums to 1. `.plot()` draws them.

        Raises:
            UsageError: The export has no attention maps; the error says how to convert the module with them.

        Examples:
            ```python
            maps = surgery.load("out/bert_text/1").attention("the cat sat on the mat")
            maps.plot(block=-1).savefig("attention.png")
            ```
        """
        rows, count = self._rows_of([text])
        names = self._signatures.entries(ATTENTION, count)
        if not names:
            single = count == 2 and self._signatures.entries(ATTENTION, 1)
            raise UsageError(
                f"attention of {self._name}: it has no outputs {ATTENTION}_0, {ATTENTION}_1, …"
                + (" for pairs of texts" if single else ""),
                hint="give the two texts as one"
                if single
                else f"convert the module with {argument('taps', ATTENTION)} and {argument('text', True)}",
            )
        parts = self._signatures.parts((*names.values(), WORD_IDS), count, None)
        (row,) = self._runner.run(rows, parts, BATCH_TOKENS, silent)
        return Attention(
            tokens=tuple(self._pieces(row[WORD_IDS])),
            blocks=tuple(names),
            probabilities=np.stack([row[name] for name in names.values()]),
        )

    @public
    def similarity(
        self,
        texts: Texts,
        *,
        batch_tokens: int = BATCH_TOKENS,
        limits: Limits = None,
        progress: Progress | None = None,
    ) -> Similarity:
        """How alike the blocks' outputs are: the cosine between a token's vectors after two blocks, mean of all tokens.

        Args:
            texts: As for `encode`.
            batch_tokens: As for `encode`.
            limits: As for `surgery.inspect`.
            progress: As for `encode`.

        Returns:
            The names of the outputs, the embedding first where the export has it, and the cosines as float64
            [outputs, outputs]. `.plot()` draws them.

        Raises:
            UsageError: The export has fewer than two outputs to compare, or there is no text.

        Examples:
            ```python
            surgery.load("out/bert_text/1").similarity(["the first text", "another"]).plot()
            ```
        """
        rows, count = self._rows_of(texts)
        embedding = (EMBEDDING,) if any(output_of(s, EMBEDDING) for s in self._signatures.taking(count)) else ()
        names = (*embedding, *self._signatures.entries(BLOCK, count).values())
        if len(names) < 2 or not rows:
            raise UsageError(
                f"similarity of {self._name}: {len(names)} outputs of blocks and {len(rows)} texts: expected 2 "
                "outputs and 1 text, or more",
                hint=f"an export without {argument('layers')} has the output of every block",
            )
        total, tokens = np.zeros((len(names), len(names))), 0
        for row in self._runner.each(
            rows, self._signatures.parts(names, count, None), batch_tokens, progress or silent
        ):
            vectors = np.stack([row[1][name] for name in names]).astype(np.float64)  # [outputs, seq, hidden]
            lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
            flat = (vectors / np.where(lengths == 0, 1, lengths)).reshape(len(names), -1)
            total += flat @ flat.T
            tokens += vectors.shape[1]
        return Similarity(names=names, cosines=total / tokens, texts=len(rows), tokens=tokens)

    def close(self) -> None:
        """Frees the weights."""
        self._runner.close()

    def __enter__(self) -> LoadedExport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wanted(
        self, count: int, outputs: OneOrMore[str] | None, signature: str | None
    ) -> tuple[list[Part], dict[str, TensorInfo]]:
        """The signatures to run, and the wanted outputs in their order."""
        wanted = self._signatures.vectors(count, signature) if outputs is None else one_or_more(outputs)
        parts = self._signatures.parts(wanted, count, signature)
        known = {tensor.key: tensor for part in parts for tensor in part.signature.outputs}
        return parts, {name: known[name] for name in wanted}

    def _rows_of(self, texts: Texts) -> tuple[list[Row], int]:
        if self._no_texts is not None:
            raise self._no_texts
        return rows_of(texts)

    def _pieces(self, ids: np.ndarray) -> list[str]:
        if not self._vocabulary:
            raise ModuleError(
                f"tokens of {self._name}: no manifest names its vocabulary",
                hint=f"convert the module with {argument('text', True)} again",
            )
        if (largest := max(ids, default=0)) >= (size := len(self._vocabulary)):
            raise ModuleError(
                f"tokens of {self._name}: its manifest names a vocabulary of {size} tokens, found the id {largest}",
                hint=f"convert the module with {argument('text', True)} again",
            )
        return [self._vocabulary[number] for number in ids]


def _is_texts(given: Any) -> bool:
    """Whether these are texts, and not tokens."""
    if isinstance(given, list | tuple):
        return len(given) > 0 and all(map(_is_texts, given))
    return isinstance(given, str)
