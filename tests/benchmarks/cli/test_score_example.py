"""The example of docs/score.md for the masks of an open-vocabulary tool: its commands, on masks that a test makes."""

import re
import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.prepared import write_prepared
from tests.conftest import REPOSITORY

SECTION = "### The masks of SAM 3 or another open-vocabulary tool\n"


def blocks():
    """The blocks of code of the section, with the language of each."""
    text = (REPOSITORY / "docs" / "score.md").read_text()
    section = text[text.index(SECTION) : text.index("## A trained system")]
    return re.findall(r"^```(\w+)\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


def segment(image, prompt):
    """The bright band in two halves that overlap, and an object that is not sure."""
    assert (image.dtype, image.shape[2], prompt) == (np.uint8, 3, "road")
    band = image.mean(axis=2) > 120
    left, right = band.copy(), band.copy()
    left[:24], right[40:] = False, False
    return [left, right, np.ones_like(band)], [0.9, 0.5, 0.1]


@pytest.mark.parametrize("found", ["objects", "nothing"])
def test_the_example_as_it_is_printed(command, tmp_path, monkeypatch, found):
    """Two objects of one road were two files, and an image without an object had none."""
    monkeypatch.chdir(tmp_path)
    write_prepared(tmp_path / "home" / "data" / "deepglobe")
    tool = segment if found == "objects" else lambda image, prompt: (np.zeros((0, *image.shape[:2])), [])
    monkeypatch.setitem(sys.modules, "my_tool", SimpleNamespace(segment=tool))
    said = []
    for language, code in blocks():
        if language == "python":
            exec(compile(code, "docs/score.md", "exec"), {})
            continue
        for line in code.splitlines():
            words, file = shlex.split(line, comments=True), None
            if ">" in words:
                words, file = words[: words.index(">")], words[-1]
            assert words[0] == "rssam-bench"
            status, output, errors = command(*words[1:])
            assert status == 0, errors
            said.append(output)
            if file:
                (tmp_path / file).write_text(output)
    assert ("these predictions tell nothing" in said[1]) == (found == "nothing")
    page = (tmp_path / "report" / "report.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| SAM 3, prompt road, 0.5 (scored predictions)")]
    assert len(rows) == 2  # of the study, and of Table 1
    assert all(("| 1.000" in row) == (found == "objects") for row in rows)
    assert Image.open(next((tmp_path / "masks").glob("*.png"))).mode == "1"
