"""A text export in this process: texts in, arrays out. Every signature of it shares one session, and so its weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from surgery.arguments import OneOrMore, argument, one_or_more
from surgery.batching import BATCH_TOKENS, MASK
from surgery.boundary import public
from surgery.errors import ModuleError, UsageError
from surgery.explanation.outputs import EMBEDDING
from surgery.export.text_facts import MOST_TOKENS, read_text_facts, read_vocabulary
from surgery.export.text_signatures import Part, TextSignatures, choose_signature, output_of, usual_signature
from surgery.jobs.text_runner import Text, TextRunner, Texts, is_one, joined, rows_of
from surgery.limits import Limits
from surgery.module import SERVE
from surgery.plots import Attention, Similarity
from surgery.progress import Progress, silent
from surgery.results import Brief
from surgery.scanning.gate import cleared, open_to_run

IDS = "input_word_ids"
ATTENTION = "attention_probs"
BLOCK = "encoder_outputs"


class TextEncoder(Brief):
    """A text export that is ready to run. `surgery.load` makes it.

    The weights stay in memory until `close()`, or the end of a `with` block. A text is a string; a pair of texts, which
    become one row with a [SEP] between them, is a tuple of two. Texts are cut at `seq_length` tokens.
    """

    def __init__(
        self,
        exported: str,
        signatures: TextSignatures,
        runner: TextRunner,
        *,
        seq_length: int,
        vocabulary: Sequence[str],
    ) -> None:
        self._exported = exported
        self._name = signatures.module.name
        self._signatures = signatures
        self._runner = runner
        self._seq_length = seq_length
        self._vocabulary = vocabulary

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
        """The outputs of each signature that takes texts."""
        return {s.name: tuple(t.key for t in s.outputs) for count in (1, 2) for s in self._signatures.taking(count)}

    @public
    def encode(
        self,
        texts: Texts,
        *,
        outputs: OneOrMore[str] | None = None,
        signature: str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        limits: Limits = None,
        progress: Progress | None = None,
    ) -> dict[str, np.ndarray]:
        """Computes outputs of texts, in the order of the texts.

        Texts of similar length are run together, so that little padding is computed.

        Args:
            texts: One text or several; a pair of texts is a tuple.
            outputs: Names of outputs, such as `"pooled_output"` or `"encoder_outputs_3"`. None for those that are one
                vector per text.
            signature: The signature to run; None for the smallest that has the outputs.
            batch_tokens: The most tokens of a batch, padding included.
            limits: As for `surgery.inspect`.
            progress: As for `surgery.convert`; a unit is a text.

        Returns:
            An array by output, with the texts as axis 0: `pooled_output` is float32 [texts, hidden]. Outputs with a
            sequence axis, such as float32 [texts, seq, hidden], are as long as the longest text and zero after the end
            of each. `input_mask`, int32 [texts, seq] with 1 for a token, then comes with them.

        Raises:
            UsageError: `texts` are no strings, or the export has no such output or signature.
            ModuleError: The export cannot be run.

        Examples:
            ```python
            model = surgery.load("out/bert_text/1")
            vectors = model.encode(["the first text", "another"], outputs="pooled_output")["pooled_output"]
            ```
        """
        rows, count = rows_of(texts)
        wanted = self._signatures.vectors(count, signature) if outputs is None else one_or_more(outputs)
        parts = self._signatures.parts(wanted, count, signature)
        described = {
            key: tensor for part in parts for key in part.outputs if (tensor := output_of(part.signature, key))
        }
        ragged = any(None in (tensor.shape or (None, None))[1:] for tensor in described.values())
        masked = output_of(parts[0].signature, MASK)
        if ragged and MASK not in described and masked is not None:
            parts[0] = Part(parts[0].signature, (*parts[0].outputs, MASK))
            described[MASK] = masked
        found = self._runner.run(rows, parts, batch_tokens, progress or silent)
        keys = dict.fromkeys((*wanted, *described))
        return {key: joined([row[key] for row in found], described[key]) for key in keys}

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
        rows, count = rows_of(texts)
        parts = self._signatures.parts((IDS,), count, None)
        found = [self._pieces(row[IDS]) for row in self._runner.run(rows, parts, BATCH_TOKENS, silent)]
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
        rows, count = rows_of([text])
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
        parts = self._signatures.parts((*names.values(), IDS), count, None)
        (row,) = self._runner.run(rows, parts, BATCH_TOKENS, silent)
        return Attention(
            tokens=tuple(self._pieces(row[IDS])),
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
        rows, count = rows_of(texts)
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

    def __enter__(self) -> TextEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pieces(self, ids: np.ndarray) -> list[str]:
        if not self._vocabulary:
            raise ModuleError(
                f"tokens of {self._name}: no manifest names its vocabulary",
                hint=f"convert the module with {argument('text', True)} again",
            )
        return [self._vocabulary[number] for number in ids]


def load_texts(exported: str, *, trust: bool = False) -> TextEncoder:
    """Loads a text export into this process. Raises UsageError for an export that takes no texts."""
    # The folder is opened again later, maybe from another current folder.
    with open_to_run(os.path.abspath(exported) if os.path.exists(exported) else exported, trust=trust) as module:
        choose_signature(module, exported, usual_signature(module, None))
        folder = Path(module.folder)
        facts = read_text_facts(folder)
        vocabulary = read_vocabulary(folder, facts)
        from surgery.tf.memory import importing

        with importing():
            import surgery.tf.signature_runner  # noqa: F401 (which registers the operations of tokenizers)
            from surgery.tf.session import SavedModelSession

        limit, permission = facts.seq_length if facts else MOST_TOKENS, cleared(module)

        def open_session(few_runs: bool) -> SavedModelSession:
            return SavedModelSession(permission, SERVE, few_runs=few_runs)

        stays = os.path.isdir(exported)  # an unpacked archive is gone when this block ends
        return TextEncoder(
            exported,
            TextSignatures.of(module),
            TextRunner(module.name, open_session, limit, few_runs=stays),
            seq_length=limit,
            vocabulary=vocabulary,
        )
