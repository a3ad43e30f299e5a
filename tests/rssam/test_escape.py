"""Text of others stays text where LaTeX and Markdown read a meaning into its place."""

import pytest

from rssam.escape import in_prose, latex, latex_prose, markdown, markdown_prose, prose_pieces


@pytest.mark.parametrize(("text", "written"), [("[3cm] x", "{[}3cm{]} x"), ("*x", "{*}x"), ("a]b", "a{]}b")])
def test_no_cell_is_the_argument_of_a_line_end(text, written):
    r"""`\\` took "[3cm]" and "*" of the next cell for its own; "]" ended the short caption."""
    assert latex(text) == latex_prose(in_prose(text)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("see [x](y)", r"see \[x\](y)"),
        ("[x]", r"\[x\]"),
        ("http://evil.example", r"http:\//evil.example"),
        ("HTTPS://evil.example", r"HTTPS:\//evil.example"),
        ("www.evil.example", r"www\.evil.example"),
        ("a/b, 3.5: c", "a/b, 3.5: c"),
    ],
)
def test_no_foreign_text_is_a_link(text, written):
    """A reference in brackets and a bare address became links."""
    assert markdown(text) == markdown_prose(in_prose(text)) == written


@pytest.mark.parametrize("text", ["`x`", "*x*", "a `b` *c*", "\\", r"\`x`", r"\*x*", "``", r"C:\new"])
def test_a_value_in_prose_is_neither_code_nor_emphasis(text):
    """A device called `x` in backquotes was code in every note."""
    pieces = prose_pieces(f"with `--option`, *so*, on {in_prose(text)}, `code`")
    assert [piece for piece in pieces if piece[0]] == [("`", "--option"), ("*", "so"), ("`", "code")]
    assert "".join(piece for _, piece in pieces).endswith(f"on {text}, code")
