from __future__ import annotations

from pathlib import Path

import pytest

from tests.data_prep.samples import squares, write_source


@pytest.fixture(scope="session")
def shared_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs of 512 pixels and an image without a mask; tests must not change it."""
    return write_source(tmp_path_factory.mktemp("source"), 4, drawn=squares)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source of three pairs that a test may spoil."""
    return write_source(tmp_path / "source", 3, drawn=squares)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "home" / "deepglobe"
