"""Escape text for each format that a report is written in: one function a format. Foreign text is never markup.

Prose is text with `code` in backquotes and *emphasis*, as notes have it. Names are plain text; `in_prose` puts them
into prose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

DAGGER = "†"

_PROSE = re.compile(r"(\\[\\`*]|(?<!`)`[^`]+`(?!`)|\*[^*`\s]\*|\*[^*`\s][^*`]*[^*`\s]\*)")
_MARKDOWN = re.compile(r"[\\`*<>|#~$&\[\]]|(?<=:)/(?=/)|(?<=www)\.|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE)
_LIST_MARK = re.compile(r"(?:[-+=]|\d+[.)](?=\s|$))")
_FORMULA = re.compile(r"[=+\-@]")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?|[+-]|\[[-\d., ]+\]")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    DAGGER: r"$^\dagger$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    # The argument of a line's end, and the end of an argument in brackets.
    **{character: f"{{{character}}}" for character in "[]*"},
}


def one_line(text: str) -> str:
    """Return text as one line, with "?" for each control, bidirectional or zero-width character and line break."""
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if unicodedata.category(letter) == "Zs" else "?"


def terminal(text: str) -> str:
    """Return lines of text that cannot control a terminal."""
    return "\n".join(one_line(line) for line in text.replace("\t", "    ").split("\n"))


def markdown(text: str) -> str:
    """Return plain text that Markdown shows as it is, also in a cell of a table and at the start of a line."""
    escaped = _MARKDOWN.sub(lambda found: f"\\{found[0]}", one_line(text))
    return f"\\{escaped}" if _LIST_MARK.match(escaped) and not _NUMBER.fullmatch(text) else escaped


def in_prose(text: str) -> str:
    """Return plain text as prose that shows it as it is."""
    return re.sub(r"[\\`*]", r"\\\g<0>", text)


def markdown_prose(text: str) -> str:
    """Return prose for Markdown."""
    return _join(text, _markdown_piece, lambda code: f"`{code}`", lambda words: f"*{_markdown_piece(words)}*")


def latex(text: str) -> str:
    """Return plain text for LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in one_line(text))


def latex_prose(text: str) -> str:
    """Return prose for LaTeX. The empty group keeps the "--" of an option from turning into a dash."""
    return _join(
        text,
        latex,
        lambda code: rf"\texttt{{{latex(code).replace('--', '-{}-')}}}",
        lambda words: rf"\emph{{{latex(words)}}}",
    )


def csv_cell(value: object) -> object:
    """Return a value for a cell of CSV: text that a spreadsheet would calculate gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def prose_pieces(text: str) -> list[tuple[str, str]]:
    """Return prose in pieces: the mark of each, "`", "*" or "", and its text without the mark."""
    pieces = _PROSE.split(one_line(text))
    return [_piece(piece) if number % 2 else ("", piece) for number, piece in enumerate(pieces)]


def _piece(text: str) -> tuple[str, str]:
    return ("", text[1]) if text.startswith("\\") else (text[0], text[1:-1])


def _markdown_piece(text: str) -> str:
    """Return text without markup; an address of its own is no link."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", text)


def _join(text: str, plain: Callable[[str], str], code: Callable[[str], str], words: Callable[[str], str]) -> str:
    forms = {"": plain, "`": code, "*": words}
    return "".join(forms[mark](piece) for mark, piece in prose_pieces(text))
