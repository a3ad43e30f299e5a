"""Say under every table with RS-SAM what of it is the paper's and what is ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reports.formatting import join_words
from rssam.config import NOT_THE_PRINTED_MODEL, RSSAM

PAPERS_AND_OURS = (
    "F_early is the first global-attention block, and no Down module is built: plan A-1 is one reading of the paper. "
    "Rate, warm-up, batch and rank are SAMed's; the paper's split lists are unknown. This suite has reproduced nothing "
    "with pretrained weights yet."
)
"""The README says the same in eight lines."""


def rs_sam_note(systems: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the note on the RS-SAM among the systems of a table; empty without one.

    Args:
        systems: each with its name and options, as in the identity of a run.
    """
    chains = dict.fromkeys(system["options"].get("chain") for system in systems if system["name"] == RSSAM.name)
    if not chains:
        return ()
    words = {"printed": "as printed (Eq. 2)", None: "not known here"}
    used = join_words([words.get(chain, f"{chain} ({NOT_THE_PRINTED_MODEL})") for chain in chains])
    rebuilt = "RS-SAM is rebuilt from the paper, because no code of its authors exists"
    return (f"{rebuilt}. Decoder chain: {used}. {PAPERS_AND_OURS}",)
