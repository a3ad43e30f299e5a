"""The tutorial from rasters and labels to a map, command by command as the page has it."""

import re
import shlex
import sqlite3

import pytest
import rasterio
from typer.testing import CliRunner

from benchmarks.cli.app import app
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.slow  # half a minute of training and prediction
def test_every_command_of_the_page_runs_in_its_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSSAM_HOME", str(tmp_path / "home"))
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(snippet, "sheets.py", "exec"), {})
    assert len(COMMANDS) == 7
    for program, *arguments in COMMANDS:
        assert program == "rssam-bench"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (arguments, done.output)
    with rasterio.open("new.tif") as scene, rasterio.open("map.tif") as found:
        assert (found.crs, found.transform, found.shape) == (scene.crs, scene.transform, scene.shape)
        assert {*found.read(1).flat} == {0, 1}
    with sqlite3.connect("roads.gpkg") as polygons:
        (table,) = polygons.execute("select table_name from gpkg_contents").fetchone()
        assert polygons.execute(f"select count(*) from {table} where area_m2 > 0").fetchone()[0]
    for written in ("map.png", "report/report.html", "roads.safetensors", "roads.md"):
        assert (tmp_path / written).is_file(), written
