"""Which precision a wish becomes on which device, held against torch's own rule for GPUs."""

import json

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.execution import hardware
from benchmarks.execution.hardware import (
    choose_precision,
    choose_predicting_precision,
    has_native_bf16,
    precision_note,
)
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.process_pool import SessionSettings
from benchmarks.execution.runner import execute
from tests.benchmarks.prepared import make_session, tiny_run

CARDS = {"V100": [7], "T4": [7], "A100": [8], "H200": [9], "A100 and T4": [8, 7], "of other nodes": []}


@pytest.fixture
def cards(monkeypatch):
    return lambda majors: monkeypatch.setattr(hardware, "cuda_capabilities", lambda: majors)


@pytest.mark.parametrize("name", CARDS)
def test_auto_is_bf16_only_where_every_card_has_it(cards, name):
    """On a T4 and a V100 it was bf16, which these compute by way of float32."""
    cards(CARDS[name])
    old = 7 in CARDS[name]
    assert choose_precision("auto", "cuda") == ("16-mixed" if old else "bf16-mixed")
    assert choose_precision("auto", "cpu") == "32-true"
    assert choose_precision("bf16", "cuda") == choose_precision("bf16", "cpu") == "bf16-mixed"
    assert ("in software" in (precision_note("bf16-mixed", "cuda") or "")) == old
    assert precision_note("16-mixed", "cuda") is None


@pytest.mark.parametrize("major", [6, 7, 8, 9, 10])
def test_a_card_has_bf16_if_torch_says_so(cards, monkeypatch, major):
    cards([major])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: _Properties(major))
    assert has_native_bf16("cuda") == torch.cuda.is_bf16_supported(including_emulation=False)


class _Properties:
    def __init__(self, major):
        self.major = major


@pytest.mark.parametrize(
    ("wish", "device", "trained", "expected"),
    [
        ("auto", "cpu", "bf16-mixed", "32-true"),
        ("auto", "cpu", "16-mixed", "32-true"),
        ("bf16", "cpu", "32-true", "bf16-mixed"),
        ("auto", "cuda", "32-true", "32-true"),
        ("auto", "cuda", "16-mixed", "16-mixed"),
        ("auto", "cuda", "bf16-mixed", "32-true"),  # float16 could overflow in it
        ("fp16", "cuda", "bf16-mixed", "16-mixed"),
    ],
)
def test_predicting_on_an_old_card_and_on_the_cpu(cards, wish, device, trained, expected):
    cards([7])
    assert choose_predicting_precision(wish, device, trained) == expected
    cards([8])
    if (wish, device) == ("auto", "cuda"):
        assert choose_predicting_precision(wish, device, trained) == trained


@pytest.mark.parametrize(
    ("capabilities", "native"), [({"avx512_bf16": True}, True), ({"bf16": True}, True), ({"avx512_vnni": True}, False)]
)
def test_what_is_said_of_bf16_on_a_cpu(monkeypatch, capabilities, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_native_bf16("cpu") is native
    assert ("natively" if native else "in software") in precision_note("bf16-mixed", "cpu")
    assert "in software" in precision_note("16-mixed", "cpu")
    assert precision_note("32-true", "cpu") is None


def test_other_processes_take_the_precision_of_the_command(cards, tmp_path):
    """A head without a card and a node with an old one would choose differently, and the keys would not agree."""
    session = make_session(tmp_path, precision_choice="fp16")
    assert session.precision == "16-mixed"
    assert SessionSettings.of(session).open().precision == "16-mixed"
    auto = make_session(tmp_path)
    auto.device = "cuda"
    cards([])
    settings = SessionSettings.of(auto)
    cards([7])
    assert settings.open().precision == "bf16-mixed"


def test_a_node_that_would_choose_otherwise_trains_nothing(tmp_path):
    """Its parameters would part from those of the first device, under the key of the first device."""
    [resolved] = resolve_all([tiny_run()], make_session(tmp_path))
    outcome = execute(resolved, make_session(tmp_path, precision_choice="bf16"))
    assert outcome.status == "failed"
    assert "expected 32-true as on the first device, found bf16-mixed" in outcome.reason


@pytest.mark.parametrize("command", [("status",), ("reproduce", "--dry-run", "--no-track")], ids=lambda words: words[0])
def test_runs_of_another_precision_are_other_runs(tmp_path, command):
    make_session(tmp_path)
    keys = {}
    for precision in ("auto", "fp32", "bf16", "fp16"):
        options = ("--profile", "smoke", "--device", "cpu", "--precision", precision, "--json")
        done = CliRunner().invoke(app, ["--home", str(tmp_path), *command, "table5", *options])
        assert done.exit_code == 0, done.output
        listed = json.loads(done.stdout)
        runs = listed if isinstance(listed, list) else listed["missing"]
        keys[precision] = frozenset(run["key"] for run in runs)
        assert len(keys[precision]) == 5
    assert keys["auto"] == keys["fp32"]
    assert not keys["fp32"] & keys["bf16"]
    assert not (keys["fp32"] | keys["bf16"]) & keys["fp16"]
