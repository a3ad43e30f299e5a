"""Collect the problems of a bundle, a line each, up to a number that a person reads."""

from __future__ import annotations

from dataclasses import dataclass, field

SHOWN, MOST_PROBLEMS = 200, 200
"""Characters of a problem's text, and problems that are listed."""


@dataclass
class BundleProblems:
    """Problems, a line each with the file in front, and the numbers of checked files."""

    problems: list[str] = field(default_factory=list)
    results: int = 0
    submissions: int = 0
    splits: int = 0
    images: int = 0  # rows of counts
    uses: tuple[str, ...] = ()  # of each test split, a sentence each
    more: int = 0  # problems that are not listed

    def add(self, file: str, problem: str) -> None:
        """Add a problem without control characters, because text of a file must not control the terminal.

        Beyond `MOST_PROBLEMS` they are counted, in the last line.
        """
        if len(self.problems) >= MOST_PROBLEMS:
            self.more += 1
            self.problems[MOST_PROBLEMS:] = [f"and {self.more} more"]
            return
        line = f"{file}: {problem}"
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        self.problems.append(line if len(line) <= SHOWN + len(file) else f"{line[: SHOWN + len(file)]}...")
