"""The kinds of values that files of predictions may have."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["probabilities", "logits", "labels", "one-hot"]
"""What a user declares the values of all files to be."""
