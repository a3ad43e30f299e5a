"""The pages for readers: what they name is there, and the diagram of docs/architecture.md is that of the code."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.structure import PACKAGES, PAGE, arrows, drawn_arrows, renewed

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
USERS_FILES = {"mynet.py", "lakes.py", "ranks.py", "sheets.py"}
"""Of docs/extend.md and docs/tutorial.md, where the reader writes them."""
SEVERAL = r"`[^`\n]+`(?:(?:,| and|, and)\s`[^`\n]+`)*"
PLACEHOLDER = re.compile(r"<\w+>")


def named(text: str) -> list[str]:
    """Return what stands in backquotes, without blocks of code."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def paths(span: str) -> list[str]:
    """Return the words of a span that name a file of ours or a folder."""
    return [word for word in span.split() if re.fullmatch(r"[\w./<>*-]+(\.py|\.md|/)", word)]


def files(path: str) -> list[Path]:
    """Return the files and folders that a path stands for; `<name>` is any name, a bare name lies anywhere."""
    pattern = PLACEHOLDER.sub("*", path).rstrip("/")
    if "/" in path:
        return list(REPOSITORY.glob(pattern))
    below = (REPOSITORY / folder for folder in (*PACKAGES, "tests", "docs"))
    return [*REPOSITORY.glob(pattern), *(found for folder in below for found in folder.rglob(pattern))]


def entries(text: str) -> list[str]:
    """Return every row of a table and every item of a list, with its further lines."""
    return re.findall(r"^(?:\| .*|- .*(?:\n  .*)*)", text, flags=re.MULTILINE)


def defines(file: Path, name: str) -> bool:
    """Whether a function, class, constant, field or option of that name is made in a file."""
    return bool(re.search(rf"^\s*(?:def {name}\b|class {name}\b|{name}\s*[:=])", file.read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page):
    missing = [path for span in named(page.read_text()) for path in paths(span) if not files(path)]
    assert not set(missing) - USERS_FILES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    assert not [link for link in links if link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", [PAGE, REPOSITORY / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_a_name_beside_a_path_is_defined_in_that_file(page):
    """Where the page says `resolve_run` in `benchmarks/protocol/run.py`, with one or several of both."""
    text = page.read_text()
    claimed = [
        (name, path)
        for names, paths_after in re.findall(f"({SEVERAL}) (?:in|of)\\s({SEVERAL})", text)
        for name in named(names)
        for path in named(paths_after)
        if path.endswith(".py") and re.fullmatch(r"\w+", name)
    ]
    assert len(claimed) > 10
    assert not [(name, path) for name, path in claimed if not any(defines(file, name) for file in files(path))]


@pytest.mark.parametrize("page", [PAGE, REPOSITORY / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_name_of_a_row_is_in_a_file_of_that_row(page):
    """Rows of tables and items of lists that name files of ours."""
    wrong = []
    for entry in entries(page.read_text()):
        spans = named(entry)
        modules = {file for span in spans for path in paths(span) for file in files(path) if file.suffix == ".py"}
        text = "\n".join(file.read_text() for file in modules)
        wrong += [
            (span, entry)
            for span in spans
            if modules and re.fullmatch(r"[A-Za-z_]\w+", span) and not re.search(rf"\b{span}\b", text)
        ]
    assert not wrong


def test_the_diagram_is_that_of_the_code():
    page = PAGE.read_text()
    assert renewed(page) == page, "run: python -m tests.structure"


def test_the_diagram_draws_an_arrow_or_a_chain_for_every_import():
    """And no arrow that is none: the reduction loses nothing and invents nothing."""
    direct, drawn = arrows(), drawn_arrows()

    def reached(start: str) -> set[str]:
        return drawn[start].union(*map(reached, drawn[start]))

    for name, others in direct.items():
        assert drawn[name] <= others <= reached(name)
    assert sum(map(len, drawn.values())) < sum(map(len, direct.values()))


@pytest.mark.parametrize("text", ["", "<!-- end of packages -->", PAGE.read_text() * 2])
def test_a_page_without_the_marks_is_refused(text):
    with pytest.raises(ValueError, match=r"architecture.md needs the lines"):
        renewed(text)


def test_the_citation_names_the_papers_page():
    """It named the conference in words alone, with no page to go to."""
    urls = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]
    assert f'  url: "{urls["Paper"]}"\n' in (REPOSITORY / "CITATION.cff").read_text()
