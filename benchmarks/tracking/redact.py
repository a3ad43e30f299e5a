"""Take credentials out of addresses and out of what a client says of them."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Variables of the environment that hold a secret of MLflow's client."""

_LOCAL = ("sqlite", "file")
_USER = re.compile(r"(\w+://)[^/\s'\"]*@")
_USER_ALONE = re.compile(r"(?<![\w/.])((?:\w+:/)?)[^\s/:'\"@]+:[^\s'\"]*@(?=[\w\[])")
_QUERY = re.compile(r"([?&][\w.-]+=)[^&\s'\"]+")


def without_credentials(uri: str) -> str:
    """Return an address without user, password, query and fragment; equal for equal servers."""
    scheme, mark, rest = uri.partition("://")
    if _is_local(uri):
        return uri
    if not mark:  # no address, but a user may have meant one
        return re.split(r"[?#]", f"...@{uri.rpartition('@')[2]}" if "@" in uri else uri)[0]
    authority = re.split(r"[/?#]", rest)[0]
    if "@" in rest and "@" not in authority:  # a password with a letter that ends an address: nothing is shown
        return f"{scheme}://..."
    return f"{scheme}://{re.split(r'[?#]', rest[authority.rfind('@') + 1 :])[0]}"


def _is_local(uri: str) -> bool:
    return uri.partition(":")[0] in _LOCAL or uri.startswith(("/", ".", "~"))


def redacted(text: str, uri: str) -> str:
    """Return a message without the credentials of `uri`, of the environment, and of any other address in it."""
    rest = re.sub(r"^\w+:/+", "", uri)
    secrets = [os.environ.get(name, "") for name in _SECRETS]
    if not _is_local(uri):
        user, _, password = rest.rpartition("@")[0].partition(":")
        secrets += [user, password, *re.split(r"[?&=#]", rest)[1:]]
    text = _QUERY.sub(r"\1***", _USER_ALONE.sub(r"\1", _USER.sub(r"\1", text)))
    forms = {*secrets, *map(unquote, secrets)}
    for secret in sorted(forms, key=len, reverse=True):
        if len(secret) > 3:  # a shorter one would be found within words
            text = text.replace(secret, "***")
    return text
