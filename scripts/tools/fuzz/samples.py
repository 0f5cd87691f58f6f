"""The modules that are changed: packed ones, TF1 checkpoints made of hub.Modules, and exports of a few."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import surgery
from surgery.formats import saved_model
from surgery.sources.files import ARCHIVES, SAVED_MODEL

CONFIG_FIELDS = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "embedding_size",
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sound module.

    Attributes:
        name: Its name.
        folder: The folder with its files.
        format: Its format, as `inspect` names it.
        source: The module of which it is an export; None for any other.
        export: An export of it, with which `verify` compares it; None where none was made.
    """

    name: str
    folder: Path
    format: str
    source: Path | None = None
    export: Path | None = None


def unpack(packed: Path, scratch: Path) -> list[Sample]:
    """The modules of a folder, its archives unpacked, each in a folder below `scratch`; sorted by name.

    Raises SystemExit where there is no module.
    """
    found: list[Sample] = []
    scratch.mkdir(exist_ok=True)
    for path in sorted(packed.iterdir()) if packed.is_dir() else ():
        name = path.name.removesuffix(".gz").removesuffix(".tar")
        folder = scratch / name
        if path.is_dir():
            shutil.copytree(path, folder)
        elif path.name.endswith(ARCHIVES[0]):
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")
        else:
            continue
        sample = Sample(name=name, folder=folder, format=surgery.inspect(folder).module.format)
        found.append(sample)
        if sample.format == "TF1 hub.Module":
            found.append(_as_checkpoint(sample, scratch / f"{name}_checkpoint"))
    if not found:
        raise SystemExit(f"scripts/fuzz: {packed} has no module, nor an archive (.tar.gz) of one")
    return found


def copy(sample: Sample, folder: Path) -> Path:
    """A copy of a module whose files share the sample's bytes until they are replaced: never write into one."""
    return Path(shutil.copytree(sample.folder, folder, copy_function=os.link))


def _as_checkpoint(sample: Sample, folder: Path) -> Sample:
    """The variables of a hub.Module as a checkpoint with its config, its graph and its vocabulary, as publishers do."""
    architecture = surgery.inspect(sample.folder).architecture
    assert architecture is not None, f"{sample.name} is no module that surgery knows"
    folder.mkdir()
    for path in (sample.folder / "variables").iterdir():
        os.link(path, folder / path.name.replace("variables", "model.ckpt", 1))
    for path in (sample.folder / "assets").iterdir():
        os.link(path, folder / path.name)
    config = {field: architecture.values[field] for field in CONFIG_FIELDS if field in architecture.values}
    config |= {"hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if architecture.family == "albert":
        config |= {"num_hidden_groups": 1, "inner_group_num": 1}
    (folder / f"{architecture.family}_config.json").write_text(json.dumps(config), encoding="utf-8")
    meta_graph = saved_model.read(sample.folder / SAVED_MODEL).meta_graphs[0]
    (folder / "model.ckpt.meta").write_bytes(meta_graph.SerializeToString())
    return Sample(name=folder.name, folder=folder, format="TF1 checkpoint")
