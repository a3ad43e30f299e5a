"""Publish the sample from the home it was trained in: its bundle, its page and the pictures of README.

Run: python docs/sample.py HOME. docs/sample.md has the commands that fill the home. Chromium draws the report.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

from benchmarks.results.home import open_home
from reports import read_results, write_report
from reports.bundle.documents import documents
from reports.bundle.files import README
from reports.bundle.publish import publish

DOCS = Path(__file__).parent
NAME = "vegas-roads"
BUNDLE = DOCS.parent / "reports" / "results" / NAME
PAGE, REPORT = DOCS / "sample.md", DOCS / "sample" / "report.html"
PICTURES = DOCS / "pictures"
TABLES, FIGURES = ("table1", "table5"), ("fig6", "fig7")
PREDICTED = "10240"
"""A test image of split seed 0: no network of that split saw it in training."""
BEGIN, END = "<!-- begin of results: made by `python docs/sample.py HOME`, not by hand -->", "<!-- end of results -->"


def results() -> str:
    """Return the tables of the committed bundle in Markdown, with all their notes."""
    open_home(BUNDLE)
    text = documents(BUNDLE, TABLES)[README].decode()
    return text[text.index("\n## ") :].strip()


def renewed(text: str) -> str:
    """Return the page with the part between the marks renewed."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{results()}\n\n{END}{rest.split(END)[1]}"


def write_bundle(home: Path) -> None:
    """Replace the committed bundle by that of the home's results."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = publish(TABLES, Path(scratch) / f"{NAME}.zip", home)
        shutil.rmtree(BUNDLE, ignore_errors=True)
        with zipfile.ZipFile(bundle.path) as archive:
            archive.extractall(BUNDLE)


def shown_run() -> str:
    """Return the key of RS-SAM, as Table 1 has it, on split seed 0."""
    runs = read_results(BUNDLE)
    (key,) = runs.key[(runs.system == "RS-SAM") & (runs.variant == "vit_t, scratch") & (runs.split_seed == 0)]
    return str(key)


def write_pictures(home: Path) -> None:
    """Write the report with its figures, a predicted image and a view of the report."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        write_report([*TABLES, *FIGURES], ("html",), out, home)
        REPORT.parent.mkdir(exist_ok=True)
        shutil.copy(out / REPORT.name, REPORT)
        for figure in FIGURES:
            (drawn,) = out.glob(f"{figure}-*.png")
            shutil.copy(drawn, PICTURES / f"sample-{figure}.png")
        image = open_home(home).dataset(NAME) / "images" / f"{PREDICTED}.png"
        command = [sys.executable, "-m", "benchmarks.cli", "--home", str(home), "predict", str(image)]
        options = ["--run", shown_run(), "--out", str(out / "map.tif"), "--quicklook", str(out / "map.png")]
        subprocess.run([*command, *options], check=True)
        _save(Image.open(out / "map.png"), "sample-map")
    _save(_view(REPORT), "sample-report")


def _view(page: Path) -> Image.Image:
    """Return the first table of a page as Chromium draws it, 1400 pixels wide."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=browser)
        view = opened.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
        view.goto(f"{page.resolve().as_uri()}#{TABLES[0]}")
        view.wait_for_function("scrollY > 0")
        drawn = view.screenshot()
        opened.close()
    return Image.open(io.BytesIO(drawn))


def _save(picture: Image.Image, name: str) -> None:
    picture.convert("RGB").save(PICTURES / f"{name}.jpg", quality=85, optimize=True)


def main() -> None:
    """Write the bundle, the pictures and the page."""
    (home,) = map(Path, sys.argv[1:])
    open_home(home)
    write_bundle(home)
    write_pictures(home)
    PAGE.write_text(renewed(PAGE.read_text()))
    sys.stdout.write(f"renewed {PAGE}, {REPORT} and {BUNDLE}\n")


if __name__ == "__main__":
    main()
