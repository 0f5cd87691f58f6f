"""The end of a run: what the workers wrote is compared with what they read, and the files get their names.

Workers only ever write files under new names, because an engine may run any step again, even one that has finished, and
on a machine that everybody takes for dead. What can be done only once is done by the process that started the run.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from surgery.arguments import argument
from surgery.beam.shards import PARTS, RUNNING, Layout, Shard, check_running, open_writer
from surgery.beam.tally import Tally, total
from surgery.errors import ModuleError

LIST = "_shards.json"
REJECTED = "_rejected.jsonl"


@contextmanager
def while_running(folder: str) -> Iterator[None]:
    """A file that exists while a run may write into `folder`. When the block ends, no worker begins another file."""
    place = FileSystems.join(folder, PARTS, RUNNING)
    with FileSystems.create(place):
        pass
    try:
        yield
    finally:
        if FileSystems.exists(place):
            FileSystems.delete([place])


def write_list(folder: str, found: Iterable[Shard | Tally]) -> None:
    """Writes the list of a whole run's shards, and the tally of what was read; in a worker.

    The first whole list stays: a step that runs again lists other copies of the same rows.
    """
    check_running(folder)
    read: list[Tally] = []
    shards: list[Shard] = []
    for each in found:
        if isinstance(each, Tally):
            read.append(each)
        else:
            shards.append(each)
    place, new = FileSystems.join(folder, LIST), FileSystems.join(folder, PARTS, f"{uuid.uuid4().hex}.json")
    with FileSystems.create(new, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(json.dumps({"read": total(read), "shards": shards}).encode())
    if not FileSystems.exists(place):
        FileSystems.rename([new], [place])


def complete(folder: str, layout: Layout) -> dict[str, Any]:
    """Gives the shards of a finished run their names, in the order of their first rows. Returns the summary of the run.

    Raises ModuleError, and names nothing, if the shards have not exactly the rows that were read, or no list is there.
    """
    place = FileSystems.join(folder, LIST)
    if not FileSystems.exists(place):
        raise ModuleError(
            "extracting features: the runner ended before its work did: nobody has listed the files",
            hint="its log has the reason; a scheduler that was stopped, for example",
        )
    with FileSystems.open(place, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        listed = json.load(file)
    shards = sorted(
        (
            Shard(path, (source, line), Tally(*counted), tokens)
            for path, (source, line), counted, tokens in listed["shards"]
        ),
        key=lambda shard: shard.first,
    )
    read, wrote = Tally(*listed["read"]), total(shard.tally for shard in shards)
    if read != wrote:
        raise ModuleError(
            f"extracting features: the runner lost or repeated rows: {_described(read)} were read, "
            f"and {_described(wrote)} written",
            hint=f"choose another runner with {argument('beam_options')}, or none, which runs on this machine",
        )
    written, rejected = ([s for s in shards if bool(s.tally.rejected) == kind] for kind in (False, True))
    names = [f"part-{i:05d}-of-{max(len(written), 1):05d}.parquet" for i in range(max(len(written), 1))]
    if written:
        FileSystems.rename([s.file for s in written], [FileSystems.join(folder, name) for name in names])
    else:  # a reader finds the columns of a corpus without texts, too
        with FileSystems.create(
            FileSystems.join(folder, names[0]), compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            open_writer(file, layout).close()
    if rejected:
        with FileSystems.create(
            FileSystems.join(folder, REJECTED), compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            for line in sorted(_lines(rejected), key=lambda line: (line["source"], line["line"])):
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    FileSystems.delete([place, *_leftovers(folder)])
    return {
        "texts": wrote.rows,
        "tokens": sum(shard.tokens for shard in written),
        "rejected": wrote.rejected,
        "shards": [
            {"file": name, "rows": shard.tally.rows, "tokens": shard.tokens}
            for name, shard in zip(names, written, strict=False)
        ],
    }


def _described(counted: Tally) -> str:
    return f"{counted.rows:,} texts and {counted.rejected:,} other lines (checksum {counted.checksum})"


def remains(folder: str) -> list[str]:
    """Files of a run in a folder, whether it has finished or not: a second run must not take them for its own."""
    lists = [path for name in (REJECTED, LIST) if FileSystems.exists(path := FileSystems.join(folder, name))]
    return [*_matching(folder, "part-*.parquet"), *lists, *_matching(FileSystems.join(folder, PARTS), "*")]


def discard(folder: str) -> None:
    """Removes what a run that has failed leaves in a folder, as far as that is possible."""
    for path in remains(folder):
        with suppress(Exception):  # each file system has errors of its own, and the run's is the one to show
            FileSystems.delete([path])


def _leftovers(folder: str) -> list[str]:
    """What the run has left in PARTS. A storage service has no folder that could be removed as one, only its files."""
    parts = FileSystems.join(folder, PARTS)
    return [parts] if FileSystems.exists(parts) else _matching(parts, "*")


def _matching(folder: str, name: str) -> list[str]:
    """The files in a folder whose names match a glob."""
    start = FileSystems.join(folder, "")
    (match,) = FileSystems.match([re.sub(r"[\[*?]", "?", start) + name])  # Beam's globs cannot quote these
    return [found.path for found in match.metadata_list if found.path.startswith(start)]


def _lines(shards: Sequence[Shard]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        with FileSystems.open(shard.file, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield from map(json.loads, file)
