"""Hooks of the documentation site: pages of the repository's root, and links to them from the pages in docs/.

The same Markdown is read on GitHub, so pages keep links that lead out of docs/, and the site brings those pages in.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages of the root that the site has too."""

DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the repository's root."""
    from mkdocs.structure.files import File

    for name in PAGES:
        files.append(File.generated(config, name, content=inside_docs((ROOT / name).read_text())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Rewrite links to pages of the root, and fold diagrams: drawing them would load a script from elsewhere."""
    return folded_diagrams(outside_docs(markdown))


def inside_docs(markdown: str) -> str:
    """Return a page of the root with links as they are from docs/."""
    return markdown.replace("](docs/", "](")


def outside_docs(markdown: str) -> str:
    """Return a page of docs/ with links to pages of the root as they are on the site."""
    return re.sub(rf"\]\(\.\./({'|'.join(map(re.escape, PAGES))})", r"](\1", markdown)


def folded_diagrams(markdown: str) -> str:
    """Return a page with each Mermaid diagram as text in a box that is closed at first."""

    def folded(found: re.Match[str]) -> str:
        lines = "".join(f"    {line}\n" for line in found[1].splitlines())
        return f'??? note "The diagram as text; GitHub draws it"\n\n    ```text\n{lines}    ```'

    return DIAGRAM.sub(folded, markdown)
