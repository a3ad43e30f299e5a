"""Which commit a result names."""

import subprocess

from benchmarks.results.provenance import source_commit


def test_a_process_names_the_commit_it_began_with(tmp_path, monkeypatch):
    """Where a file was edited between two runs, the second was "-dirty", though its process ran the code of before."""
    module = tmp_path / "benchmarks" / "results" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@b.c commit -qm first"):
        subprocess.run(["git", "-C", tmp_path, *words.split()], check=True)
    monkeypatch.setattr("benchmarks.results.provenance.__file__", str(module))
    commit = source_commit()
    assert len(commit) == 12
    module.write_text("edited")
    assert source_commit() == commit
