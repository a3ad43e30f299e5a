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
        "rssam.config",
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
    {"rssam.inference.sliding_window", "rssam.inference.geotiff"},
    {"rssam.inference.vectors", "rssam.inference.quicklook"},
    {"rssam.inference.predict_raster"},
    {"baselines.*"},
    {
        "benchmarks.counts",
        "benchmarks.label_files",
        "benchmarks.saved_predictions",
        "benchmarks.loss",
        "benchmarks.environment",
        "benchmarks.zoo",
        "benchmarks.paper",
        "benchmarks.own_models",
        "benchmarks.interruption",
        "benchmarks.recompute",
        "benchmarks.kernels",
        "benchmarks.running",
        "benchmarks.probabilities",
        "benchmarks.histogram",
        "benchmarks.json_record",
        "benchmarks.counted",
        "benchmarks.mask_pair",
        "benchmarks.relaxed",
        "benchmarks.cldice",
        "benchmarks.boundary",
        "benchmarks.road_graph",
        "benchmarks.apls",
        "benchmarks.object_metrics",
    },
    {"benchmarks.spec"},
    {
        "benchmarks.checkpoint",
        "benchmarks.store",
        "benchmarks.submission",
        "benchmarks.metric_store",
        "benchmarks.ledger",
        "benchmarks.tracking",
        "benchmarks.patience",
        "benchmarks.mlflow_mirror",
        "benchmarks.session",
        "benchmarks.devices",
        "benchmarks.team",
        "benchmarks.own_record",
    },
    {"benchmarks.evaluate", "benchmarks.states", "benchmarks.chosen"},
    {"benchmarks.engine", "benchmarks.mask_folder"},
    {"benchmarks.scoring"},
    {
        "benchmarks.tables",
        "benchmarks.figures",
        "benchmarks.paper_runs",
        "benchmarks.claims",
        "benchmarks.items",
        "benchmarks.profile",
        "benchmarks.speed",
        "benchmarks.speed_loading",
    },
    {
        "benchmarks.trained",
        "benchmarks.prediction",
        "benchmarks.adapter",
        "benchmarks.conformance",
        "benchmarks.onnx_export",
        "benchmarks.transfer",
        "benchmarks.trial",
        "benchmarks.runner",
        "benchmarks.executors",
        "benchmarks.together",
        "benchmarks.ray_cluster",
        "benchmarks.ray_task",
        "benchmarks.ray_executor",
        "benchmarks.board",
        "benchmarks.forecast",
        "benchmarks.screen",
        "benchmarks.doctor",
        "benchmarks.inventory",
    },
    {"reports.*"},
    {
        "benchmarks.root",
        "benchmarks.prepare_cli",
        "benchmarks.reproduce_cli",
        "benchmarks.report_cli",
        "benchmarks.inventory_cli",
        "benchmarks.predict_cli",
        "benchmarks.score_cli",
        "benchmarks.metrics_cli",
        "benchmarks.speed_cli",
        "benchmarks.export_cli",
        "benchmarks.publish_cli",
        "benchmarks.conformance_cli",
        "benchmarks.cli",
    },
)
BASELINES_MAY_USE = {
    f"rssam.{name}"
    for name in ("contract", "weights", "config", "precision", "encoder", "lora", "attention", "mask_decoder")
}
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for package in PACKAGES
    for path in (REPOSITORY / package).rglob("*.py")
    if path.stem != "__init__"
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
    tree = ast.parse((REPOSITORY / Path(*module.split("."))).with_suffix(".py").read_text())
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
    # a declaration builds its network in a function: rssam.config is below rssam.model on purpose
    if module == "rssam.config":
        upward -= {"rssam.model"}
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
    assert not [other for other in MODULES if "benchmarks.cli" in imports(other)]


def test_preparing_imports_no_scipy():
    """Every worker would: with scipy.stats in three processes `prepare` took half as long again."""
    code = "import sys, benchmarks.cli, data_prep.registry; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


LIGHT = (
    "rssam.config rssam.contract rssam.weights.convert data_prep.registry benchmarks.tables benchmarks.store "
    "benchmarks.cli"
)


@pytest.mark.parametrize("heavy", ["torch", "lightning", "mlflow"])
def test_declarations_and_command_line_import_nothing_heavy(heavy):
    code = f"import sys, {LIGHT.replace(' ', ', ')}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
