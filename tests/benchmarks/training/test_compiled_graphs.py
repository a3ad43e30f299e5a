"""Compiled networks: every system is one graph a pass, and gives what it gives as written."""

import copy
import dataclasses
import shutil
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

import benchmarks.execution.execute_run
from baselines.unet import UNet
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.training.compile import compile_network
from benchmarks.training.loop import make_fabric
from benchmarks.training.loss import training_outputs
from benchmarks.training.reproducibility import seeded
from rssam.contract import Task
from rssam.sam.attention import set_attention
from tests.benchmarks.prepared import TINY, make_session, tiny_run

SIDE = 64
TASK = Task(("road",), (SIDE, SIDE))


class Counting:
    """A backend that traces forward and backward pass, runs the operators as they are, and keeps count."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return aot_eager(graph, inputs)


def pair(name, kind="folded"):
    """A network compiled, the same as written, the backend of the first, and images.

    In float64 but for SAM's, which have parts in float32: in that a ReLU of HRNet flipped, and a gradient with it.
    """
    dtype = torch.float32 if hasattr(MODELS[name], "encoder") else torch.float64
    with seeded(0):
        written = smallest(MODELS[name]).architecture(TASK).to(dtype)
        images = torch.rand(2, 3, SIDE, SIDE, dtype=dtype)
    set_attention(written, kind)
    compiled, backend = copy.deepcopy(written), Counting()
    compile_network(compiled, backend, full_graph=True)
    return compiled, written, backend, images


def step(net, images):
    """Outputs with their weights, gradients by name, and running statistics after them."""
    net.train()
    net.zero_grad()
    with seeded(1):  # of dropout
        outputs = training_outputs(net, images)
        sum(weight * logits.square().mean() for weight, logits in outputs).backward()
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    return outputs, gradients, {name: value.clone() for name, value in net.named_buffers()}


def logits(net, images):
    with torch.inference_mode():
        return net.eval()(images)


QUICK = ("fcn",)
"""Traced in less than five seconds."""


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS])
def test_every_pass_is_one_graph_and_equals_the_network_as_written(name):
    """In training, with the outputs that are trained, their gradients and running statistics; and in a test."""
    compiled, written, backend, images = pair(name)
    found, wanted = step(compiled, images), step(written, images)
    assert backend.graphs == 1
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits(compiled, images), logits(written, images), atol=1e-5, rtol=1e-4)
    assert backend.graphs == 2
    step(compiled, images)
    logits(compiled, images)
    assert backend.graphs == 2  # each is kept


class Branched(nn.Module):
    """A head, and one for training."""

    def __init__(self, depth=1):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), *(nn.Conv2d(4, 4, 1) for _ in range(depth)))
        self.head, self.auxiliary = nn.Conv2d(4, 1, 1), nn.Conv2d(4, 1, 1)

    def forward(self, images):
        return self.head(self.body(images))

    def training_outputs(self, images):
        features = self.body(images)
        return [(1.0, self.head(features)), (0.5, self.auxiliary(features))]


def test_training_outputs_are_compiled_under_fabric_too():
    """They were trained as written: only the forward pass was compiled, which a training with them never calls."""
    net, backend, images = Branched(), Counting(), torch.rand(2, 3, 8, 8)
    names, wanted = list(net.state_dict()), step(net, images)
    compile_network(net, backend, full_graph=True)
    assert list(net.state_dict()) == names
    model = make_fabric("cpu", "32-true").setup(net)
    model.mark_forward_method("training_outputs")
    found = [(weight, out) for weight, out in training_outputs(model, images)]
    assert backend.graphs == 1
    torch.testing.assert_close(found, wanted[0])
    logits(model, images)
    assert backend.graphs == 2

    twin = copy.deepcopy(net)  # calls its own parameters, not those it was copied from
    with torch.no_grad():
        twin.head.bias += 1
    torch.testing.assert_close(training_outputs(twin, images)[0][1], wanted[0][0][1] + 1)


def test_all_runs_of_a_process_are_compiled():
    """All networks are called by the same code, of which torch keeps eight graphs: the fifth was run as written."""
    backend, images = Counting(), torch.rand(2, 3, 8, 8)
    for depth in range(6):
        net = Branched(depth)
        compile_network(net, backend)
        net(images)
        logits(net, images)
        assert backend.graphs == 2 * (depth + 1)


def test_more_graphs_of_one_network_are_kept_than_torch_would():
    """`speed` meets three ways to attend with two batches and a training step: the ninth was timed as written."""
    net, backend = Branched(), Counting()
    compile_network(net, backend)
    for batch in range(1, 13):
        logits(net, torch.rand(batch, 3, 8, 8))
    assert backend.graphs == 12


@pytest.mark.slow
def test_compiled_by_inductor_equals_the_network_as_written():
    """What `--compile` takes, here for the CPU: generated code, through the C++ compiler."""
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    with seeded(0):
        written, images = UNet(width=4).architecture(TASK), torch.rand(2, 3, SIDE, SIDE)
    compiled = copy.deepcopy(written)
    compile_network(compiled, full_graph=True)
    torch.testing.assert_close(step(compiled, images), step(written, images), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(logits(compiled, images), logits(written, images), atol=1e-4, rtol=1e-3)


@dataclasses.dataclass(frozen=True)
class Shallow:
    """A system of two convolutions: of a deep network the compiler would first make far more code."""

    name: ClassVar[str] = "shallow"
    title: ClassVar[str] = "Shallow"
    version: ClassVar[int] = 1
    published: ClassVar[None] = None
    small: ClassVar[dict] = {}

    width: int = 4

    def architecture(self, task):
        return nn.Sequential(
            nn.Conv2d(3, self.width, 3, padding=1), nn.BatchNorm2d(self.width), nn.Conv2d(self.width, task.channels, 1)
        )

    def build(self, task, weights):
        return self.architecture(task)

    def weights_needed(self):
        return ()


class OnTheCpuToo(benchmarks.execution.execute_run._DeviceRun):
    """A run that compiles wherever it is told to."""

    def __init__(self, resolved, session, splits):
        super().__init__(resolved, session, splits)
        self.compiled = session.compiled


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """Inductor finds neither a C++ compiler nor what was compiled before."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (str(tmp_path / "g++"),))


def test_what_cannot_be_compiled_goes_on_as_written(tmp_path, monkeypatch, no_compiler):
    """It says so, and gives the numbers of a run that nobody wanted to compile."""

    monkeypatch.setattr(benchmarks.execution.execute_run, "_DeviceRun", OnTheCpuToo)
    run = tiny_run(Shallow(), dataclasses.replace(TINY, epochs=1))
    outcomes, notes = [], []
    for wanted in (True, False):
        session = make_session(tmp_path / str(wanted), compiled=wanted)
        outcomes.append(execute(resolve_all([run], session)[0], session))
        notes.append(session.observer.notes)
    assert notes[1] == []
    (note,) = notes[0]
    assert note.startswith(f"{outcomes[0].key} cannot be compiled (InvalidCxxCompiler: No working C++ compiler found")
    assert note.endswith("): it goes on as written")
    compiled, plain = (outcome.result for outcome in outcomes)
    assert compiled.counts.to_json() == plain.counts.to_json()
    assert [epoch["val_loss"] for epoch in compiled.history] == [epoch["val_loss"] for epoch in plain.history]
    assert "compiled" not in compiled.provenance


@pytest.mark.parametrize(("place", "goes_on"), [("torch._inductor.codecache", True), ("own_network", False)])
def test_an_attribute_error_of_inductor_goes_on_as_written(tmp_path, monkeypatch, place, goes_on):
    """Of torch 2.11 it ended the run: "AttributeError: 'NoneType' object has no attribute 'emit_kernel'"."""
    namespace = {"__name__": place}
    exec("def emit(kernel): return kernel.emit_kernel", namespace)
    trained = benchmarks.execution.execute_run.train
    monkeypatch.setattr(benchmarks.execution.execute_run, "_DeviceRun", OnTheCpuToo)
    monkeypatch.setattr(benchmarks.execution.execute_run, "compile_network", lambda net: None)
    monkeypatch.setattr(
        benchmarks.execution.execute_run,
        "train",
        lambda *given, **named: tried.append(0) or namespace["emit"](None) if not tried else trained(*given, **named),
    )
    tried, notes = [], []
    session = make_session(tmp_path, compiled=True)
    session.observer.note = notes.append
    run = tiny_run(UNet(width=4), dataclasses.replace(TINY, epochs=1))
    outcome = execute(resolve_all([run], session)[0], session)
    assert (outcome.result is not None) == goes_on
    said = "cannot be compiled ('NoneType' object has no attribute 'emit_kernel'): it goes on as written"
    assert any(said in note for note in notes) == goes_on


def test_a_fault_of_the_compiler_where_nothing_is_compiled_is_no_excuse(tmp_path, monkeypatch):
    """It would otherwise be tried again for ever."""

    def broken(*_, **__):
        raise torch._dynamo.exc.InternalTorchDynamoError("of another's making")

    monkeypatch.setattr(benchmarks.execution.execute_run, "train", broken)
    session = make_session(tmp_path)
    outcome = execute(resolve_all([tiny_run(recipe=dataclasses.replace(TINY, epochs=1))], session)[0], session)
    assert (outcome.status, session.observer.notes) == ("failed", [])
    assert "of another's making" in outcome.reason


@pytest.mark.parametrize("compiled", [True, False])
def test_with_activation_checkpointing_nothing_is_compiled(tmp_path, monkeypatch, compiled):
    """Dynamo raises NotImplementedError of the checkpointing; so too little memory ends the compiling, and says so."""
    train, tried = benchmarks.execution.execute_run.train, []

    def short_of_memory(net, *arguments, **options):
        tried.append(net._compiled_call_impl is not None)
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return train(net, *arguments, **options)

    monkeypatch.setattr(benchmarks.execution.execute_run, "_DeviceRun", OnTheCpuToo)
    monkeypatch.setattr(benchmarks.execution.execute_run, "train", short_of_memory)
    session = make_session(tmp_path, compiled=compiled)
    run = tiny_run(UNet(width=4), dataclasses.replace(TINY, epochs=1))
    outcome = execute(resolve_all([run], session)[0], session)
    assert tried == [compiled, False]
    assert "compiled" not in outcome.result.provenance
    (note,) = session.observer.notes
    assert ("activation checkpointing, not compiled, which takes longer" in note) == compiled
