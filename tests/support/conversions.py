"""Fixtures of the tests that run TensorFlow: one import in each worker, each module made and converted once a run.

Importing `surgery.tf` first sets what TensorFlow reads when it is imported. TensorFlow itself is imported by the
fixtures when they are asked for.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import surgery.tf
from surgery.export.manifest import MANIFEST
from tests.support.once import SharedFolder

if TYPE_CHECKING:
    from surgery.explanation.architecture import Architecture
    from surgery.jobs.convert import Conversion
    from surgery.jobs.opened import MakeBattery
    from surgery.jobs.steps import Recorded
    from surgery.proof.battery import Batch
    from surgery.proof.parity import ParityReport
    from tests.support.tapping import Tapped


class Converted(NamedTuple):
    """A module's folder, its export, and what the conversion returned."""

    source: Path
    export: Path
    conversion: Conversion


def first_batches(architecture: Architecture) -> Sequence[Batch]:
    """The first nine batches of the battery: every shape once, and every kind of mask, token type and word id."""
    from surgery.proof.battery import make_battery

    return make_battery(architecture)[:9]


def two_batches(architecture: Architecture) -> Sequence[Batch]:
    """A batch of a single row and one that the training traces run on, both of 17 tokens and in float32, too."""
    from surgery.proof.battery import make_battery

    return [batch for batch in make_battery(architecture) if batch.float32 and batch.length == 17][:2]


@contextmanager
def few_batches() -> Iterator[None]:
    """`surgery.convert` and the exports of `surgery.edit` are compared on the first batches only."""
    from surgery.jobs import convert, edit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "convert_module", partial(convert.convert_module, battery=first_batches))
        patch.setattr(edit, "export_edited", partial(edit.export_edited, battery=first_batches))
        yield


@pytest.fixture
def short_battery() -> Iterator[None]:
    """For tests that are about something else than numbers: `converted` makes each sample with the whole battery."""
    with few_batches():
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> SharedFolder:
    """Where the workers find what another one has made."""
    return SharedFolder(tmp_path_factory)


@pytest.fixture(scope="session")
def source(modules: Callable[[str], Path], shared_folder: SharedFolder) -> Callable[[str], Path]:
    """Folder of a sample or a built module by name; not to be changed by a test."""
    from tests.support.samples import BUILDERS

    @cache
    def make(name: str) -> Path:
        if name not in BUILDERS:
            return modules(name)
        folder = shared_folder.path / "modules"
        folder.mkdir(exist_ok=True)
        built = shared_folder.once(f"module-{name}", lambda: os.fsencode(BUILDERS[name](folder / name)), os.fsdecode)
        return Path(built)

    return make


@pytest.fixture(scope="session")
def converted(source: Callable[[str], Path], shared_folder: SharedFolder) -> Callable[[str], Converted]:
    """The export of a module by name, and by the form of its graphs (form_of); not to be changed by a test.

    It is made with the whole battery, also where a test with a short one asks for it first.
    """
    from surgery.jobs import convert as jobs

    on_all_batches = jobs.convert_module  # this fixture is older than any test's own, see few_batches

    @cache
    def make(name: str, form: str = "fused") -> Converted:
        export = shared_folder.path / "exported" / form / name / "1"

        def convert() -> bytes:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(jobs, "convert_module", on_all_batches)
                return pickle.dumps(surgery.convert(source(name), export, **form_of(form)).report)

        report = shared_folder.once(f"export-{form}-{name}", convert, pickle.loads)
        return Converted(source(name), export, _conversion(source(name), export, report, form_of(form)))

    return make


def _conversion(source: Path, export: Path, report: ParityReport, request: dict[str, Any]) -> Conversion:
    """What `surgery.convert` has returned, perhaps in another worker: a plan cannot be sent, and costs little."""
    from surgery.jobs.convert import Conversion

    manifest = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    plan = surgery.plan(source, export, **request)
    return Conversion(destination=export, plan=plan, report=report, manifest=manifest)


FEATURES = {
    "features": ["twice=mean@0,2,-1", "ordered=concat@embedding,-1,0/cls"],
    "signatures": ["hidden_states"],
}
"""Features whose layers are doubled, in another order than the blocks', and all that enters and leaves blocks."""


def form_of(name: str) -> dict[str, Any]:
    """The arguments of `surgery.convert` for a form: "fused", "model_garden", "packed", or the one with "features"."""
    return {"packed": True} if name == "packed" else FEATURES if name == "features" else {"graph": name}


@pytest.fixture(scope="session")
def recorded(source: Callable[[str], Path]) -> Callable[..., Recorded]:
    """The recording of a module by name, for `judge` to hold against any export of it.

    It is made on the whole battery, or as in `recorded(name, two_batches)`. The last few are kept, as in `load`: each
    holds a parsed module.
    """
    from surgery.jobs.opened import open_weights
    from surgery.jobs.steps import record
    from surgery.planning.plan import make_plan
    from surgery.planning.requests import Request
    from surgery.proof.battery import make_battery
    from surgery.scanning.gate import open_to_run

    @lru_cache(maxsize=6)
    def make(name: str, battery: MakeBattery = make_battery, form: str = "fused") -> Recorded:
        with open_to_run(str(source(name)), trust=False) as module:
            return record(open_weights(make_plan(module, Path(), None, Request.of(**form_of(form))), battery))

    return make


@pytest.fixture(scope="session")
def tapped(
    source: Callable[[str], Path], tokens: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Tapped]:
    """The export of a module with every tap, and more (tapping.everything); not to be changed by a test."""
    from surgery.jobs.convert import convert_module
    from surgery.planning.requests import Request
    from tests.support.tapping import Tapped, everything, given_inputs, run_signatures

    @cache
    def make(name: str) -> Tapped:
        export = tmp_path_factory.mktemp("tapped") / name / "1"
        # Taps are compared on the first batches; the others are for the conversions of `converted`.
        conversion = convert_module(
            str(source(name)),
            export,
            request=Request(**everything(name, surgery.plan(source(name)))),
            battery=first_batches,
        )
        inputs = given_inputs(source(name)) or tokens(vocab=200)
        return Tapped(source(name), export, conversion, inputs, run_signatures(export, inputs))

    return make


@pytest.fixture(scope="session")
def text_exports(source: Callable[[str], Path], shared_folder: SharedFolder) -> Callable[[str], tuple[Path, Path]]:
    """A tensor export of a module and the text export beside it, version 7 of either; not to be changed by a test.

    Texts are cut at 24 tokens. Both have an encoder of two blocks, the attention maps, a feature, and a signature `cls`
    that leaves padding out. They lie elsewhere than they were written, and the module with its vocabulary is gone.
    """

    @cache
    def make(name: str) -> tuple[Path, Path]:
        place = shared_folder.path / "texts" / name

        def convert() -> bytes:
            module, written = shutil.copytree(source(name), place / "module"), place / "written"
            with few_batches():
                surgery.convert(
                    module,
                    written / "bert" / "7",
                    text=True,
                    seq_length=24,
                    depths=[2],
                    taps="attention_probs",
                    features="mean=mean@-2:/mean",
                    signatures="cls=pooled_output",
                )
            shutil.rmtree(module)
            for export in written.iterdir():
                export.rename(place / export.name)
            return b""

        shared_folder.once(f"texts-{name}", convert, len)
        return place / "bert" / "7", place / "bert_text" / "7"

    return make


@pytest.fixture
def uncompared_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of where text exports are written: they are not compared, which takes half of their time."""
    from surgery.tf import text_export

    monkeypatch.setattr(text_export, "text_differences", lambda *args: ())


@pytest.fixture(scope="session")
def load(converted: Callable[[str], Converted]) -> Callable[..., Any]:
    """`load(name)` is the loaded export, `load(name, "source")` the module itself; neither to be changed.

    The last few stay loaded. Tests of one sample run one after the other, so that is enough, and it bounds memory.
    """
    import tensorflow as tf

    @lru_cache(maxsize=4)
    def make(name: str, side: str = "export") -> Any:
        return tf.saved_model.load(str(getattr(converted(name), side)))

    return make


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program that runs an export without Python; its tests are skipped without a C compiler."""
    from scripts.tools.runtimes.c_client import compile_client

    built = compile_client(tmp_path_factory.mktemp("client"))
    if built is None:
        pytest.skip("needs a C compiler")
    return built


@pytest.fixture(scope="session")
def tokens() -> Callable[..., dict[str, np.ndarray]]:
    """Inputs for a module by its sizes: ragged masks, every token type, random ids."""

    def make(vocab: int = 300, shape: tuple[int, int] = (3, 9), types: int = 2, seed: int = 5) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        lengths = random.integers(2, shape[1] + 1, shape[0])
        return {
            "input_word_ids": random.integers(0, vocab, shape).astype(np.int32),
            "input_mask": (np.arange(shape[1])[None, :] < lengths[:, None]).astype(np.int32),
            "input_type_ids": random.integers(0, types, shape).astype(np.int32),
        }

    return make
