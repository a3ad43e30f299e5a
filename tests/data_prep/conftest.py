from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.manifest import Manifest
from data_prep.registry import find_dataset
from tests.conftest import SHARED
from tests.data_prep.samples import prepare, squares, write_source


@pytest.fixture(scope="session")
def shared_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs of 512 pixels and an image without a mask; tests must not change it."""
    return write_source(tmp_path_factory.mktemp("source"), 4, drawn=squares)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a data set's name to a folder of four stand-in scenes; tests must not change it."""
    folders: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name) / "source"
            find_dataset(name).synthesize(folders[name], 4, seed=0)
        return folders[name]

    return folder_of


@pytest.fixture(scope="session")
def vegas(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """The folder that 36 real pairs of Las Vegas were prepared in, and its manifest; tests must not change it."""
    if not SHARED.is_dir():
        pytest.skip("no real samples beside the repository")
    out = tmp_path_factory.mktemp("vegas") / "deepglobe"
    return out, prepare(SHARED / "deepglobe-layout-vegas", out, workers=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source of three pairs that a test may spoil."""
    return write_source(tmp_path / "source", 3, drawn=squares)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "home" / "deepglobe"
