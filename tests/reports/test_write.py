"""Report files, from a home folder to the disk, without torch."""

import subprocess
import sys

import pytest

from reports.select.results import PUBLISHED, collect
from reports.write import write_report
from rssam.errors import UserError
from tests.conftest import REPOSITORY
from tests.reports.fabricate import fill

SCRIPT = """
import sys
import benchmarks.protocol.figures, reports.figures.files
from pathlib import Path
from rich.console import Console
from benchmarks.protocol.tables import TABLES
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.render.terminal import show
from reports.write import write_report
home = Path(sys.argv[1])
write_report(["all"], ["md", "tex", "csv", "html"], home / "report", home)
for frame in assemble(list(TABLES.values()), collect(home)).frames:
    show(frame, Console())
heavy = sorted({"torch", "lightning_fabric", "mlflow", "torchvision", "matplotlib.pyplot"} & set(sys.modules))
assert not heavy, heavy
"""


def test_nothing_run_still_gives_a_report(tmp_path):
    paths = write_report(["table5"], ["md", "tex", "csv"], tmp_path / "out", tmp_path / "home", tmp_path / "none").paths
    assert [path.name for path in paths] == ["report.md", "table5.tex", "table5.csv"]
    page = paths[0].read_text()
    assert "No run of yours is in these tables." in page
    assert "Nothing of this table has been run. To fill it: `rssam-bench reproduce table5`." in page


def test_the_same_results_give_the_same_bytes(tmp_path):
    fill(tmp_path, [0.70, 0.75])
    first = [path.read_bytes() for path in write_report(["all"], ["md", "tex", "csv"], tmp_path / "a", tmp_path).paths]
    second = [path.read_bytes() for path in write_report(["all"], ["md", "tex", "csv"], tmp_path / "b", tmp_path).paths]
    assert first == second


def test_only_the_formats_asked_for(tmp_path):
    (path,) = write_report(["table5"], ["csv"], tmp_path / "out", tmp_path).paths
    assert [file.name for file in (tmp_path / "out").iterdir()] == [path.name] == ["table5.csv"]


@pytest.mark.parametrize(
    ("items", "formats", "message"),
    [
        (["table5"], ["pdf"], "unknown format 'pdf': choose from md, tex, csv, html"),
        (["table99"], ["md"], "unknown item 'table99': choose from"),
    ],
)
def test_unknown_names_list_the_choices_and_write_nothing(tmp_path, items, formats, message):
    with pytest.raises(UserError, match=message):
        write_report(items, formats, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_reports_import_no_torch_and_no_global_plotting(tmp_path):
    fill(tmp_path, [0.70, 0.75])
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_published_with_this_version_can_be_used(tmp_path):
    collection = collect(tmp_path, PUBLISHED)
    assert collection.damaged == ()
