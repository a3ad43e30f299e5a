"""The order of the modules, ground to roof: an import never points up. And what the light commands may not import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("rssam", "baselines", "benchmarks", "reports", "data_prep")
LAYERS = (
    {"rssam.contract", "rssam.weights.http_download", "rssam.weights.convert", "data_prep.manifest"},
    {
        "rssam.sam.autocast",
        "rssam.sam.tiled_attention",
        "rssam.sam.attention",
        "rssam.sam.encoder",
        "rssam.lora",
        "rssam.modules.neck",
        "rssam.sam.mask_decoder",
        "rssam.modules.decoder",
        "rssam.modules.fusion",
        "rssam.modules.upscaling",
        "data_prep.*",
    },
    {
        "rssam.model",
        "rssam.inference.threads",
        "rssam.inference.tile_grid",
        "rssam.inference.partial_output",
        "rssam.inference.raster_input",
        "rssam.inference.shapes",
        "data_prep.registry",
    },
    {"rssam.config", "rssam.inference.sliding_window", "rssam.inference.geotiff"},
    {"rssam.inference.vectors", "rssam.inference.quicklook"},
    {"rssam.inference.predict_raster"},
    {"baselines.*"},
    {
        "benchmarks.metrics.counts",
        "benchmarks.scoring.mask_files",
        "benchmarks.results.predictions",
        "benchmarks.training.loss",
        "benchmarks.training.reproducibility",
        "benchmarks.protocol.registry",
        "benchmarks.protocol.paper_numbers",
        "benchmarks.protocol.custom",
        "benchmarks.signals",
        "benchmarks.training.activation_checkpointing",
        "benchmarks.training.compile",
        "benchmarks.training.batch_norm",
        "benchmarks.metrics.probability_histogram",
        "benchmarks.metrics.count_probabilities",
        "benchmarks.results.json_files",
        "benchmarks.results.counted_test",
        "benchmarks.metrics.mask_pair",
        "benchmarks.metrics.relaxed_f1",
        "benchmarks.metrics.cldice",
        "benchmarks.metrics.boundary_iou",
        "benchmarks.metrics.road_graph",
        "benchmarks.metrics.apls",
        "benchmarks.metrics.object_metrics",
    },
    {"benchmarks.protocol.run"},
    {
        "benchmarks.training.checkpoint",
        "benchmarks.results.store",
        "benchmarks.results.submission",
        "benchmarks.results.metric_store",
        "benchmarks.results.test_set_log",
        "benchmarks.tracking.tracker",
        "benchmarks.tracking.call_with_timeout",
        "benchmarks.tracking.mlflow",
        "benchmarks.execution.session",
        "benchmarks.training.device_layout",
        "benchmarks.training.rank_group",
        "benchmarks.results.custom_system",
    },
    {"benchmarks.training.evaluate", "benchmarks.execution.run_status", "benchmarks.scoring.test_images"},
    {"benchmarks.training.loop", "benchmarks.scoring.mask_folder"},
    {"benchmarks.scoring.score"},
    {
        "benchmarks.protocol.tables",
        "benchmarks.protocol.figures",
        "benchmarks.protocol.paper_runs",
        "benchmarks.protocol.claims",
        "benchmarks.protocol.targets",
        "benchmarks.protocol.cost",
        "benchmarks.speed.timing",
        "benchmarks.speed.loading",
    },
    {
        "benchmarks.export.load_run",
        "benchmarks.export.predict",
        "benchmarks.export.adapter",
        "benchmarks.conformance",
        "benchmarks.export.onnx",
        "benchmarks.scoring.cross_dataset",
        "benchmarks.execution.execute_run",
        "benchmarks.execution.runner",
        "benchmarks.execution.process_pool",
        "benchmarks.execution.multi_device",
        "benchmarks.execution.ray_cluster",
        "benchmarks.execution.ray_task",
        "benchmarks.execution.ray_executor",
        "benchmarks.console.live_table",
        "benchmarks.execution.cost_estimate",
        "benchmarks.console.progress",
        "benchmarks.doctor",
        "benchmarks.inventory",
    },
    {"reports.*"},
    {
        "benchmarks.cli.options",
        "benchmarks.cli.prepare",
        "benchmarks.cli.reproduce",
        "benchmarks.cli.report",
        "benchmarks.cli.status",
        "benchmarks.cli.predict",
        "benchmarks.cli.score",
        "benchmarks.cli.metrics",
        "benchmarks.cli.speed",
        "benchmarks.cli.export",
        "benchmarks.cli.publish",
        "benchmarks.cli.conformance",
        "benchmarks.cli.app",
    },
)
BASELINES_MAY_USE = {
    "rssam.contract",
    "rssam.errors",
    "rssam.lora",
    "rssam.sam.attention",
    "rssam.sam.autocast",
    "rssam.sam.encoder",
    "rssam.sam.encoder_sizes",
    "rssam.sam.loading",
    "rssam.sam.mask_decoder",
    "rssam.weights.folder",
}
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    for package in PACKAGES
    for path in (REPOSITORY / package).rglob("*.py")
    if path.stem != "__init__" or path.parents[1].name == "baselines"  # a folder there declares a system
)


def layer(module: str) -> int:
    """The module's own line, else that of its package."""
    for names in (module, f"{module.split('.')[0]}.*"):
        for number, members in enumerate(LAYERS):
            if names in members:
                return number
    raise AssertionError(f"{module} has no place in the module order")


def imports(module: str) -> set[str]:
    """Our modules that `module` imports anywhere, inside functions too."""
    path = REPOSITORY / Path(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module} | names
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_import_points_up(module):
    upward = {other for other in imports(module) if layer(other) > layer(module)}
    assert not upward, f"{module} imports {sorted(upward)} from above"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("baselines.")])
def test_baselines_know_the_parts_of_sam_only(module):
    outside = {name for name in imports(module) if not name.startswith("baselines.")}
    assert outside <= BASELINES_MAY_USE


def test_every_line_of_the_order_is_a_module():
    named = {name for members in LAYERS for name in members if not name.endswith("*")}
    assert named <= set(MODULES)


ROOF = LAYERS[-1]


def test_nothing_but_the_roof_imports_the_command_line():
    assert {other for other in MODULES if imports(other) & ROOF} <= ROOF
    assert not [other for other in MODULES if "benchmarks.cli.app" in imports(other)]


def test_preparing_imports_no_scipy():
    """Every worker would: with scipy.stats in three processes `prepare` took half as long again."""
    code = "import sys, benchmarks.cli.app, data_prep.registry; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


LIGHT = (
    "rssam.config rssam.contract rssam.weights.convert data_prep.registry benchmarks.protocol.registry "
    "benchmarks.protocol.tables benchmarks.results.store benchmarks.cli.app"
)


@pytest.mark.parametrize("heavy", ["torch", "lightning", "mlflow"])
def test_declarations_and_command_line_import_nothing_heavy(heavy):
    code = f"import sys, {LIGHT.replace(' ', ', ')}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
