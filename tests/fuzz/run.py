"""Run mutated files through the commands that read them, in children of bounded memory and time.

Run it: `python -m tests.fuzz.run --count 1000 --seed 0`.
"""

import argparse
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from contextlib import chdir, suppress
from pathlib import Path

import torch
from typer.testing import CliRunner

from benchmarks.cli.app import app
from rssam.errors import UserError
from tests.fuzz.cases import SHARES, cases
from tests.fuzz.files import build, silent, spoil

MEMORY = 1 << 30
SECONDS = 10


class TooLong(BaseException):
    """The alarm of a case."""


def fuzz(count, seed, root, *, kinds=tuple(SHARES), say=lambda line: None):
    """Return one outcome for each case: its kind, what came of it, seconds, bytes of extra memory and words."""
    torch.set_num_threads(1)  # a forked child waits for ever for the threads that its parent had
    home = root / "good"
    build(home)
    work = root / "work"
    work.mkdir()
    (work / "evil.py").write_text(f"open({str(root / 'imported')!r}, 'w').close()\nclass Net: pass\n")
    (root / "guard").mkdir()
    (root / "tmp").mkdir()
    todo, outcomes = cases(count, seed, kinds), []
    while len(outcomes) < len(todo):
        rest = todo[len(outcomes) :]
        for outcome in _in_child(rest, seed, root):
            outcomes.append(outcome)
            if outcome in faults([outcome]):
                say(f"{outcome['case']}: {outcome['found']}\n{outcome['words']}")
            if len(outcomes) % 50 == 0:
                say(table(outcomes))
    return outcomes


def _in_child(todo, seed, root):
    """Yield the outcomes of the cases that a child did, and of the one that it died of."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with os.fdopen(writer, "wb") as stream, chdir(root / "work"):
                _limit()
                for case in todo:
                    pickle.dump(_one(case, seed, root), stream)
                    stream.flush()
        finally:
            os._exit(0)  # or the child would remove the folder of its parent
    os.close(writer)
    done = 0
    with os.fdopen(reader, "rb") as stream, suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(stream)
            done += 1
    os.waitpid(child, 0)
    if done < len(todo):
        yield {"case": todo[done], "found": "died", "seconds": 0.0, "memory": 0, "words": "the process ended"}


def _limit():
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    tempfile.tempdir = None


def _one(case, seed, root):
    rng = random.Random(f"{seed} {case.number}")
    home, out = root / "home", root / "out"
    for folder in (home, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "good", home)
    out.mkdir()
    spoiled = spoil(home, case, rng, root / "guard")
    names = {"home": home, "out": out}
    arguments = ["--home", str(home), *(part.format(**names) for part in case.command)]
    os.environ["TMPDIR"] = tempfile.tempdir = str(root / "tmp")
    before, modules = _listing(root), set(sys.modules)
    Path("/proc/self/clear_refs").write_text("5")
    base, began = _memory("VmRSS"), time.perf_counter()
    signal.alarm(SECONDS)
    try:
        result = CliRunner().invoke(app, arguments)
        signal.alarm(0)
        found, words = _judged(result)
        if found in ("accepted", "refused") and (wrong := silent(home, out, case, found, result.output)):
            found, words = "silent", f"{wrong}: {words}"
    except TooLong:
        found, words = "too long", ""
    finally:
        signal.alarm(0)
    seconds, memory = time.perf_counter() - began, _memory("VmHWM") - base
    if _listing(root) != before:
        found, words = "wrote elsewhere", str(_listing(root) ^ before)[:300]
    if "evil" in set(sys.modules) - modules:
        found, words = "imported", "evil"
    return {
        "case": case, "found": found, "seconds": seconds, "memory": memory,
        "words": f"{spoiled.relative_to(home)}: {words}",
    }  # fmt: skip


def _judged(result):
    error = result.exception
    if error is None or (isinstance(error, SystemExit) and error.code in (0, None)):
        return "accepted", result.output[-200:]
    if isinstance(error, TooLong):
        return "too long", ""
    if isinstance(error, UserError | OSError):
        return ("refused", str(error)) if str(error).strip() else ("no sentence", "")
    if isinstance(error, SystemExit) and error.code in (1, 2):
        return "refused", result.output[-200:]
    return "traceback", "".join(traceback.format_exception(*result.exc_info))[-1500:]


def _listing(root):
    """All files outside of the folders that a command may write."""
    return {
        str(path) for path in root.rglob("*") if path.relative_to(root).parts[0] not in ("home", "out")
    }  # fmt: skip


def _memory(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(name)


def table(outcomes):
    """A Markdown table: by kind the cases, what came of them, the worst time and memory."""
    by_kind = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome["case"].kind].append(outcome)
    lines = [
        "| kind | cases | refused | shown or left out by name | faults | s | MiB |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, found in (*by_kind.items(), ("all", outcomes)):
        counts = Counter(outcome["found"] for outcome in found)
        faults = len(found) - counts["refused"] - counts["accepted"]
        seconds, memory = (max(outcome[name] for outcome in found) for name in ("seconds", "memory"))
        lines.append(
            f"| {kind} | {len(found)} | {counts['refused']} | {counts['accepted']} | {faults} | {seconds:.1f} | "
            f"{memory / 2**20:.0f} |"
        )
    return "\n".join(lines)


def faults(outcomes):
    """The outcomes that are faults, and those beyond the bounds."""
    return [
        outcome for outcome in outcomes if outcome["found"] not in ("refused", "accepted") or outcome["memory"] > MEMORY
    ]


def main():
    """Print the table and every fault; exit code 1 if there is one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=tuple(SHARES), default=tuple(SHARES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = fuzz(options.count, options.seed, Path(folder), kinds=tuple(options.kinds), say=print)
    print(table(outcomes))
    sys.exit(1 if faults(outcomes) else 0)


if __name__ == "__main__":
    main()
