"""The outputs of an encoder: how an export names them, and where the encoder's call returns them.

A call returns tensors, and lists with one tensor per block. A signature knows no lists, so an export names each entry:
`encoder_outputs[3]` is `encoder_outputs_3`, and the tap `query` at block 3 is `query_3`. Such a name is put together by
`entry_name` and taken apart by `split_entry`, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from surgery.tables.family import POOLED, POOLER, Family

BLOCKS = "encoder_outputs"
"""The list of block outputs, each float32 [batch, seq, hidden]."""
EMBEDDING = "embedding_output"
"""What enters the first block, float32 [batch, seq, hidden]."""


def entry_name(name: str, number: int | str) -> str:
    """The export's name for one entry of a list, or for a tap at one block: `query_3`. The embedding has a word."""
    return f"{name}_{number}"


def split_entry(name: str) -> tuple[str, int] | None:
    """The two parts that `entry_name` has put together, ("query", 3); None for a name without a number."""
    matched = re.fullmatch(r"(.+)_([0-9]+)", name)
    return (matched[1], int(matched[2])) if matched else None


@dataclass(frozen=True, kw_only=True)
class EncoderOutputs:
    """The outputs that an encoder has.

    Attributes:
        names: The outputs of its call, a list as one name.
        lists: The outputs that are lists with one entry per block, and the number of entries before the first block's.
        blocks: The number of its blocks.
    """

    names: tuple[str, ...]
    lists: Mapping[str, int]
    blocks: int

    @classmethod
    def of(cls, family: Family, targets: Container[str], blocks: int, *, normalized: bool) -> EncoderOutputs:
        """The outputs of an encoder with these weights. An output whose weights are missing is left out.

        If the pooled output is `normalized`, the pooler's own output is one more.
        """
        optional = family.encoder.optional
        names = [
            name for name in family.output_names if name not in optional or f"{optional[name].scope}/kernel" in targets
        ]
        if normalized and POOLED in names:
            names.insert(names.index(POOLED) + 1, POOLER)
        return cls(names=tuple(names), lists=family.lists, blocks=blocks)

    @property
    def paths(self) -> dict[str, str]:
        """Where the call returns each output, by export name: `encoder_outputs_3` at `encoder_outputs[3]`."""
        found = {}
        for name in self.names:
            if name in self.lists:
                entries = range(self.blocks + self.lists[name])
                found.update({entry_name(name, number): f"{name}[{number}]" for number in entries})
            else:
                found[name] = name
        return found

    def entry(self, block: int) -> int:
        """The number of a block's output in the list of block outputs. MobileBERT's begins with the embedding."""
        return block + self.lists[BLOCKS]

    def block_output(self, block: int) -> str:
        """The export's name for the output of a block, counted from 0."""
        return entry_name(BLOCKS, self.entry(block))

    @property
    def block_outputs(self) -> tuple[str, ...]:
        """The export's names for the outputs of all blocks, in order."""
        return tuple(self.block_output(block) for block in range(self.blocks))

    def entries_after(self, depth: int) -> tuple[str, ...]:
        """The entries of the list of block outputs that exist after `depth` blocks have run."""
        return tuple(entry_name(BLOCKS, number) for number in range(self.entry(depth)))

    def blocks_of(self, outputs: Iterable[str], taps: Container[str]) -> dict[str, int]:
        """The numbers of the blocks to which outputs belong, by output. Others are left out.

        `outputs` are named as in a comparison: by signature or call, and as the entry of a list or by export name, such
        as `depth_2.encoder_outputs_1` or `mlm(training=True).query[0]`. `taps` are the export's names of taps.
        """
        found: dict[str, int] = {}
        for output in outputs:
            name = re.sub(r"\[([0-9]+)\]$", r"_\1", output.rpartition(".")[2])
            entry = split_entry(name)
            if entry is None or (entry[0] not in self.lists and name not in taps):
                continue
            block = entry[1] - self.lists.get(entry[0], 0)
            if block >= 0:
                found[output] = block
        return found
