"""Forty mutated foreign files; `python -m tests.fuzz.run` does a thousand."""

from tests.benchmarks.processes import outcome_of
from tests.fuzz.run import faults, fuzz


def fuzz_forty(root, log):
    outcomes = fuzz(40, 7, root)
    log.write_text("\n".join(f"{fault['case']}: {fault['found']}\n{fault['words']}" for fault in faults(outcomes)))


def test_mutated_files_end_in_sentences(tmp_path):
    """In a process of its own, without the threads and modules of other tests."""
    log, root = tmp_path / "faults", tmp_path / "root"
    root.mkdir()
    assert outcome_of(fuzz_forty, root, log) == 0
    assert log.read_text() == ""
