"""The documentation site: all pages are in it, links of GitHub work there, and nothing of it comes from elsewhere."""

import importlib.util
import io
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import REPOSITORY
from tests.test_python_api import NAMES

DOCS = REPOSITORY / "docs"
MAKEFILE = (REPOSITORY / "Makefile").read_text()
CONFIG = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


links = load("site_links")


def in_nav(part):
    if isinstance(part, str):
        return [part]
    return [name for item in (part.values() if isinstance(part, dict) else part) for name in in_nav(item)]


def test_every_page_is_in_the_navigation():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} | set(links.PAGES)
    assert sorted(in_nav(CONFIG["nav"])) == sorted(pages)


def test_every_public_name_is_on_the_page_of_its_package():
    shown = [
        name for page in (DOCS / "api").glob("*.md") for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)
    ]
    assert sorted(shown) == sorted(NAMES)


def test_links_of_github_lead_to_pages_of_the_site():
    assert links.outside_docs("[a](../CONTRIBUTING.md#a-system)") == "[a](CONTRIBUTING.md#a-system)"
    assert links.inside_docs("[a](docs/extend.md) [b](CITATION.cff)") == "[a](extend.md) [b](CITATION.cff)"
    page = links.folded_diagrams((DOCS / "architecture.md").read_text())
    assert "```mermaid" not in page
    assert "\n    rssam_sam --> rssam_contract\n" not in page  # indented as part of the box
    assert "\n        rssam_sam --> rssam_contract\n" in page


def test_no_font_or_script_is_loaded_from_elsewhere():
    assert CONFIG["theme"]["font"] is False
    assert "offline" not in CONFIG["plugins"]  # the plugin loads a script from unpkg.com
    assert not {"extra_javascript", "extra_css"} & CONFIG.keys()


def test_pictures_are_those_that_their_script_draws():
    """Up to rounding of the JPEG: a scene that is drawn otherwise needs `python docs/pictures.py`."""
    drawing = load("pictures")
    for name, scene in drawing.scenes().items():
        stored = np.asarray(Image.open(drawing.FOLDER / f"{name}.jpg"), np.int16)
        drawn = np.asarray(Image.open(io.BytesIO(drawing.picture(*scene))), np.int16)
        assert stored.shape == drawn.shape
        assert np.abs(stored - drawn).mean() < 3
    pages = (DOCS / "gallery.md").read_text() + (DOCS / "sample.md").read_text()
    shown = re.findall(r"\]\(pictures/(.+?)\)", pages)
    assert sorted(shown) == sorted(path.name for path in drawing.FOLDER.iterdir())


def test_the_hooks_before_a_commit_are_the_checks_of_make():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)[1]
    checks = {" ".join(line.replace("--check", "").replace(" .", "").split()) for line in recipe.strip().split("\n")}
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = {hook["entry"].replace(" --force-exclude", "") for hook in hooks}
    assert entries == {check.replace("$(BIN)", ".venv/bin") for check in checks}
    assert all(hook["language"] == "system" for hook in hooks)


GENERATOR = pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="the site's generator is missing")


def build(repository, out):
    """Build the site as `make docs` does. With --quiet it would pass over every broken link."""
    recipe = re.search(r"^docs:.*\n\tNO_MKDOCS_2_WARNING=1 \$\(BIN\)/(.+) --site-dir", MAKEFILE, re.M)[1]
    assert recipe == "mkdocs build --strict"
    command = [sys.executable, "-m", *recipe.split(), "--site-dir", out]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@GENERATOR
@pytest.mark.slow  # `make docs` builds it too
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    done = build(REPOSITORY, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    foreign = [
        found
        for path in (tmp_path / "site").rglob("*.html")
        for found in re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', path.read_text())
    ]
    assert not foreign
    page = (tmp_path / "site" / "api" / "rssam.html").read_text()
    assert "(height, width) in pixels" in page  # the comment behind a field of `Task`
    assert "red, green and blue, uint8 [H, W, 3] in 0..255" in page


@GENERATOR
@pytest.mark.slow
@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](numbers.md#nowhere)", "![a](pictures/nowhere.png)"])
def test_a_broken_link_ends_the_build(tmp_path, link):
    for path in REPOSITORY.iterdir():
        if path.name not in ("docs", "site", ".git"):
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(DOCS, tmp_path / "docs")
    with (tmp_path / "docs" / "score.md").open("a") as page:
        page.write(f"\n{link}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
