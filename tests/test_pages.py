"""The pages for readers: no sentence is longer than 25 words, and every command exists with its options and names."""

import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from packaging.requirements import Requirement
from typer.main import get_command

from benchmarks.cli.app import app
from benchmarks.protocol.targets import choose, find_items
from data_prep.registry import DATASETS
from rssam.weights.registry import WEIGHTS
from tests.conftest import REPOSITORY
from tests.test_docs import PAGES
from tests.test_docstrings import ABBREVIATED, MOST_WORDS, words

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NO_PROSE = re.compile(
    r"^```.*?^```|<!-- begin of results.*?end of results -->|<!--.*?-->|^(?:\||#|:::).*?$", re.DOTALL | re.MULTILINE
)
"""Blocks of code, tables with their notes from results, comments, rows of tables, headings, names for the API pages."""
PARTS = re.compile(r"\n\s*\n|\n(?=- |\d+\. )")
BY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page. A span of code is one word, and of a link its text is read."""
    for part in PARTS.split(NO_PROSE.sub("\n\n", text)):
        prose = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "code", " ".join(part.split())))
        yield from re.split(r"(?<=[.!?])[*)\"']*\s+", ABBREVIATED.sub(r"\1", prose))


@BY_PAGE
def test_a_sentence_has_at_most_25_words(page):
    """Of 168 longer ones the longest had 73."""
    long = [sentence for sentence in sentences(page.read_text()) if words(sentence) > MOST_WORDS]
    assert not long, "\n".join(long)


def test_sentences_are_told_apart():
    text = "# Not read\n\nOne [two](x.md) `three b c`. One\ntwo (No. 3).\n- one\n- one\n\n```sh\nnot\n```\n| not |\n"
    assert [count for sentence in sentences(text) if (count := words(sentence))] == [3, 4, 1, 1]


COMMANDS = get_command(app).commands
MAKEFILE = (REPOSITORY / "Makefile").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
USERS_DATASETS = {"mine", "lakes", "my-roads", "my-streets", "vegas-roads", "OTHER"}
OPTIONAL = {"transformers"}
"""Packages that no extra of ours brings; `docs/measure/peers.py` leaves them out where they are missing."""
UNCHECKED = {
    "git": "the address is where the reader found the page",
    "cd": "the folder that git made",
    "source": "the shell's own; `make install` makes the file",
    "for": "the shell's own",
    "done": "the shell's own",
    "wait": "the shell's own",
    "sleep": "the shell's own",
    "trap": "the shell's own",
    "export": "the shell's own",
    "srun": "SLURM, which the tests do not have",
    "ray": "Ray, an extra that the tests do not need",
    "mv": "folders of the reader's machines",
    "ln": "folders of the reader's machines",
    "rsync": "folders of the reader's machines",
}


def blocks(page) -> list[tuple[str, str]]:
    """Return the blocks of code of a page, with the language of each."""
    return FENCE.findall(page.read_text())


def shell(page) -> list[str]:
    """Return the blocks of a page for a shell."""
    return [code for language, code in blocks(page) if language in ("sh", "")]


def split(line: str) -> Iterator[list[str]]:
    """Yield the simple commands of a line, without assignments before them and redirections."""
    line = re.sub(r"\$\(\(.*?\)\)|\$\(.*?\)|\$[\w!]+", "1", re.sub(r"\d?>&?\s*[\w$.]+", "", line))
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
    lexer.whitespace_split = True
    command: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("&;|"):
            yield command
            command = []
        elif command or (word not in ("exec", "do") and not re.match(r"\w+=", word)):
            command.append(word)


def commands(page) -> list[list[str]]:
    """Return the commands of a page: lines of its blocks, and spans in its prose that begin with one of ours."""
    text = page.read_text()
    lines = [line for code in shell(page) for line in code.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"\n\s*", " ", FENCE.sub("", text))
    spans = re.findall(r"`((?:rssam-bench|make|python|pip|pytest) [^`]+)`", prose)
    # A span may name choices, as 1|2, and options in brackets.
    lines += [re.sub(r"\|\w+|\[(?=--)|(?<=\w)\]", "", span) for span in spans]
    return [command for line in lines for command in split(line) if command]


def require_command(arguments: list[str]) -> None:
    """Raise if the command line does not take these arguments, or does not know a name among them."""
    if arguments[0] == "--home":
        arguments = arguments[2:]
    name, *rest = arguments
    command = COMMANDS[name]
    if not rest:
        return  # a page names the command
    given = command.make_context(name, rest).params
    if items := given.get("items"):
        find_items(items)
    if rows := given.get("row"):
        choose(given["items"], given["profile"], rows=rows)
    datasets = {given.get("dataset")} - {None}
    if name == "prepare" and given["name"] not in ("weights", "folder", "NAME"):
        datasets.add(given["name"])
    if name == "prepare" and given["name"] == "weights":
        assert given["checkpoint"] in {*WEIGHTS, "NAME"}
    assert datasets <= {*DATASETS, *USERS_DATASETS}


def require_make(words: list[str]) -> None:
    """Raise if the Makefile lacks a target or a variable."""
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"\$\({name}\)|^{name} \?=" if is_variable else rf"^{name}:", MAKEFILE, re.MULTILINE), word


def require_script(text: str, arguments: list[str]) -> None:
    """Raise if a script does not name an option, or a word before the options."""
    for word in arguments:
        option = word.partition("=")[0]
        assert not option.startswith("--") or f'"{option}"' in text, option
    if arguments and re.fullmatch("[a-z]+", arguments[0]):
        assert re.search(rf"\b{arguments[0]}\b", text), arguments[0]


def require_packages(arguments: list[str]) -> None:
    """Raise if a requirement is none of this project's, or an extra does not exist."""
    extras = PROJECT["optional-dependencies"]
    listed = [*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)]
    known = {Requirement(line).name: Requirement(line).specifier for line in listed}
    for word in arguments:
        if word.startswith("."):
            assert set(re.findall(r"\w+", word)) <= extras.keys(), word
        elif not word.startswith(("-", "https:")):
            wish = Requirement(word)
            assert wish.name in known.keys() | OPTIONAL, word
            floor = re.search(r"[\d.]+\d", str(wish.specifier))
            assert not floor or known[wish.name].contains(floor[0]), word


def require_python(arguments: list[str]) -> None:
    """Raise if a module, a script, a test or a package does not exist."""
    match arguments:
        case ["-m", "pip", "install", *packages]:
            require_packages(packages)
        case ["-m", "pytest", *rest]:
            require_tests(rest)
        case ["-m", "venv", _]:
            pass
        case ["-m", module, *rest]:
            require_script((REPOSITORY / f"{module.replace('.', '/')}.py").read_text(), rest)
        case [script, *rest]:
            if script not in ("sheets.py", "ranks.py"):  # which the reader writes
                require_script((REPOSITORY / script).read_text(), rest)


def require_tests(arguments: list[str]) -> None:
    """Raise if a file or folder of tests does not exist."""
    assert all((REPOSITORY / word).exists() for word in arguments if word.startswith("tests/"))


def check(command: list[str]) -> bool:
    """Return whether there is a check for a command. Raises if anything of it does not exist."""
    program, *arguments = command
    if program in UNCHECKED:
        return False
    if "rssam-bench" in command:
        require_command(command[command.index("rssam-bench") + 1 :])
    elif program == "make":
        require_make(arguments)
    elif re.search(r"(?:^|/)python[\d.]*$", program):
        require_python(arguments)
    elif program == "pip":
        require_packages(arguments[1:])
    elif program == "pytest":
        require_tests(arguments)
    else:
        raise ValueError(f"no rule to check {command}: write it, or list {program} in UNCHECKED with the reason")
    return True


@BY_PAGE
def test_every_command_exists(page):
    """Of 207 commands tests read 10."""
    for command in commands(page):
        check(command)


@BY_PAGE
def test_every_block_is_code(page):
    for language, code in blocks(page):
        if language == "python" and ">>>" not in code:  # tests/test_python_api.py runs those
            ast.parse(code)
        elif language == "toml":
            tomllib.loads(code)
        elif language == "yaml":
            yaml.safe_load(code)
        elif language in ("sh", ""):
            done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True, check=False)
            assert not done.stderr, code
        else:
            assert language in ("python", "mermaid"), language


@pytest.mark.parametrize("line", [
    "rssam-bench reproduce table5 --jbos 2", "rssam-bench repeat table5", "rssam-bench reproduce table8",
    "rssam-bench reproduce table5 --row 19", "rssam-bench reproduce table5 --profile huge", "rssam-bench prepare whi",
    "rssam-bench prepare weights vit_x", "MASTER=1 exec rssam-bench speed all --rouds 3 > log 2>&1 &", "make al",
    "make gpu STEP=1", "pip install numpi", "python docs/measure/speed.py", "python docs/measure/report.py --round 3",
    "python -m tests.fuzz.walk", 'pip install "ray>=1.0"', 'pip install -e ".[all]"', "pytest tests/test_page.py",
    "conda install torch",
])  # fmt: skip
def test_a_wrong_command_is_found(line):
    (command,) = (command for command in split(line) if command)
    with pytest.raises((Exception, SystemExit)):
        check(command)
