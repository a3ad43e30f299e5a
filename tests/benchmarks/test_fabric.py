"""Fabric is imported with torchmetrics' version alone."""

import importlib.metadata
import sys

import pytest

from benchmarks.fabric import Fabric, _version_alone


def test_torchmetrics_has_a_version_and_nothing_else_for_that_time(monkeypatch):
    """Each process that trains loaded it, with scipy.signal and Lightning's trainer: 1.8 of 5.7 CPU seconds."""
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with _version_alone():
        import torchmetrics

        assert torchmetrics.__version__ == importlib.metadata.version("torchmetrics")
        assert not hasattr(torchmetrics, "Metric")
    assert "torchmetrics" not in sys.modules
    assert Fabric.__module__.startswith("lightning_fabric.")


def test_it_is_removed_after_an_error_too(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with pytest.raises(ImportError), _version_alone():
        raise ImportError
    assert "torchmetrics" not in sys.modules


def test_one_that_is_loaded_stays(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", sys)
    with _version_alone():
        assert sys.modules["torchmetrics"] is sys
    assert sys.modules["torchmetrics"] is sys
