"""What all tests share: samples unpacked or made once a session, and the folder `shared` beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import hugging_face
from tests.support.builders.checkpoints import build_released
from tests.support.builders.common import PACKED, unpack
from tests.support.sample_names import HUGGING_FACE_SAMPLES, TF1_CHECKPOINTS

pytest_plugins = [
    "tests.support.browser",
    "tests.support.conversions",
    "tests.support.groups",
    "tests.support.memory",
    "tests.support.score",
]

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`modules("g4_bert_mlm")` is the folder of that sample, there for all tests: copy it before changing it."""
    root = tmp_path_factory.mktemp("modules")

    @cache
    def find(name: str) -> Path:
        if name in TF1_CHECKPOINTS:
            return build_released(root / name, TF1_CHECKPOINTS[name])
        return unpack(PACKED / f"{name}.tar.gz", root / name)

    return find


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """`shared("modules/g1_small.tar.gz")` is that path beside the checkout; the test is skipped where it is absent."""

    def find(path: str) -> Path:
        if not (SHARED / path).exists():
            pytest.skip(f"needs shared/{path} beside the checkout")
        return SHARED / path

    return find


@pytest.fixture(scope="session")
def shared_modules(tmp_path_factory: pytest.TempPathFactory, shared: Callable[[str], Path]) -> Callable[[str], Path]:
    """Like `modules`, for archives of the folder `shared/modules`."""
    root = tmp_path_factory.mktemp("shared_modules")
    return cache(lambda name: unpack(shared(f"modules/{name}.tar.gz"), root / name))


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """`configured("hf_bert", "hidden_act", vocab_size=7)`: the checkpoint, its config without a key, and with another.

    A TF1 checkpoint has the name of the sample module whose weights it is.
    """

    def make(name: str, *without: str, **config: Any) -> Path:
        if name in HUGGING_FACE_SAMPLES:
            return hugging_face.build(tmp_path / name, sample=name, without=without, **config)
        return build_released(tmp_path / name, name, *without, **config)

    return make
