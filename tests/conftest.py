"""What all tests share: sample modules unpacked once a session, and the folder `shared` beside the checkout."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"


def _unpack(archive: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`modules("g4_bert_mlm")` is the folder of that sample, unpacked once a session: copy it before changing it."""
    root = tmp_path_factory.mktemp("modules")
    return cache(lambda name: _unpack(HERE / "modules" / f"{name}.tar.gz", root / name))


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
    return cache(lambda name: _unpack(shared(f"modules/{name}.tar.gz"), root / name))
