"""Looks at a whole checkpoint before TensorFlow does, whose reader ends the process for some of what an index can say.

The checksums of an index say that it is as it was written, not that an honest writer wrote it. TensorFlow aborts for a
negative size, for too many axes and for strings of absurd lengths, and asks for the memory that a shape claims. Here
every entry has to fit the files that hold its values. `read_index` has looked at the table itself: its blocks and keys
can only be read in one way.
"""

from __future__ import annotations

import math
from pathlib import Path

from surgery.errors import ModuleError
from surgery.formats.checkpoint_index import Entry
from surgery.formats.checkpoint_values import STRING, CheckpointValues, check_cover, numpy_dtype

MOST_SLICES = 1_000
"""The most parts of one tensor; TensorFlow compares each with each."""


def check_weights(folder: Path | str) -> None:
    """Looks at the checkpoint of a SavedModel, if it has one. Raises as `check_checkpoint` does.

    One in a remote file system is not looked at: TensorFlow reads it as it is.
    """
    prefix = Path(folder) / "variables" / "variables"
    if prefix.with_name(f"{prefix.name}.index").is_file():
        check_checkpoint(prefix)


def check_checkpoint(prefix: Path) -> None:
    """Looks at every entry of the checkpoint `PREFIX.index`, and at every string of its values.

    Raises ModuleError for an entry that its files cannot hold, and LimitError for too large an index. The values of
    numbers are not read: whoever reads them compares their checksums.
    """
    values = CheckpointValues(prefix)
    sizes: dict[int, int] = {}
    claimed = 0
    for key, entry in values.all_entries():
        try:
            _check(entry, values.shards)
            if not entry.slices and entry.nbytes:
                if entry.shard not in sizes:
                    sizes[entry.shard] = values.path(entry).stat().st_size
                if entry.offset + entry.nbytes > sizes[entry.shard]:
                    raise ValueError(
                        f"its {entry.nbytes} bytes begin at byte {entry.offset} of {values.path(entry).name}, which "
                        f"has only {sizes[entry.shard]} bytes"
                    )
                claimed += entry.nbytes
            if entry.slices:
                check_cover(entry, values.parts(key))
            elif entry.dtype == STRING:
                values.value(entry)
        except (OSError, ValueError, LookupError) as error:
            raise _damaged(prefix, key, getattr(error, "strerror", None) or error) from error
    if claimed > sum(sizes.values()):
        raise ModuleError(
            f"reading the checkpoint {prefix}.*: its tensors claim {claimed} bytes of {sum(sizes.values())} in its "
            "files: several share the same bytes",
            hint="no writer makes such a checkpoint: fetch the module again",
        )


def _check(entry: Entry, shards: int) -> None:
    """Raises ValueError for an entry that contradicts itself."""
    count = math.prod(size or 0 for size in entry.shape)
    if entry.shard >= shards:
        raise ValueError(f"it lies in shard {entry.shard} of {shards}")
    if len(entry.slices) > MOST_SLICES:
        raise ValueError(f"it has {len(entry.slices)} slices")
    if entry.dtype == STRING:
        if not entry.slices and entry.nbytes < count:
            raise ValueError(f"{count} strings take more than {entry.nbytes} bytes")
    elif (expected := count * numpy_dtype(entry.dtype).itemsize) != entry.nbytes:
        raise ValueError(f"{entry.dtype} {list(entry.shape)} takes {expected} bytes, but the index says {entry.nbytes}")


def _damaged(prefix: Path, key: str, why: object) -> ModuleError:
    return ModuleError(
        f"reading the checkpoint {prefix}.*: {key[:200]}: {why}",
        hint="the checkpoint is incomplete or damaged: fetch the module again",
    )
