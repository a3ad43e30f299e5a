"""The docstrings of the packages: a function's begins with a verb, and no sentence is longer than 25 words.

ruff's D401 holds the first words too, except those of properties.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY

PLACES = ("rssam", "baselines", "data_prep", "benchmarks", "reports")
MOST_WORDS = 25
NO_VERB = re.compile(
    r"(A|All|An|As|At|By|Each|Every|For|From|How|In|Its|No|None|Nothing|Of|On|One|See|So|That|The|Their|These|This|"
    r"Those|Two|What|When|Where|Whether|Which|Who|Whose|Why|With)\b|[^A-Z]"
)
ONE_WORD = re.compile(r"```.*?```|[(\[][\d, .*/-]+[)\]]", re.DOTALL)
"""Colours, shapes and blocks of code are no sentences."""
PARTS = re.compile(r"\n\s*\n|\n(?=\s*(?:-|>>>) )|\n(?=\s+[\w`]+: )|\n(?=\w+:\n)")
"""Paragraphs, items of lists, entries of `Args:`."""
ABBREVIATED = re.compile(r"\b(al|cf|e\.g|i\.e|vs|Eq|Fig|No)\.")


def docstrings(folder: str) -> Iterator[tuple[str, ast.AST, str]]:
    """Yield the place, node and text of each docstring."""
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield f"{path.relative_to(REPOSITORY)} {getattr(node, 'name', '')}", node, text


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a docstring, without its examples."""
    for part in PARTS.split(ONE_WORD.sub("1", text)):
        if part.lstrip().startswith(">>>"):
            continue
        yield from re.split(r"(?<=[.!?])[`)\"']*\s+", ABBREVIATED.sub(r"\1", " ".join(part.split())))


def words(sentence: str) -> int:
    """Return how many words hold a letter or a digit."""
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


@pytest.mark.parametrize("folder", PLACES)
def test_a_function_says_what_it_does(folder):
    begins = {place: text for place, node, text in docstrings(folder) if isinstance(node, ast.FunctionDef)}
    assert not {place: text for place, text in begins.items() if NO_VERB.match(text)}


@pytest.mark.parametrize("folder", PLACES)
def test_a_sentence_has_at_most_25_words(folder):
    long = [
        f"{place}: {sentence}"
        for place, _, text in docstrings(folder)
        for sentence in sentences(text)
        if words(sentence) > MOST_WORDS
    ]
    assert not long, "\n".join(long)
