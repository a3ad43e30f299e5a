"""No test may leave this machine or wait for its disk.

Refuses every connection to another address and writes it to a file.

Loaded by the test process and, through PYTHONPATH, by every Python process a test starts. The file is what fails the
test: a library that swallows the refusal is found out all the same.
"""

import contextlib
import ipaddress
import os
import socket

RECORD = "RSSAM_TEST_CONNECTIONS"


def _local(address: object) -> bool:
    if not isinstance(address, tuple):  # a Unix socket's path
        return True
    host = str(address[0]).split("%")[0]
    if host in ("", "localhost", "0.0.0.0", "::"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _refuse(what: str) -> None:
    with open(os.environ[RECORD], "a") as stream:
        stream.write(what + "\n")
    raise ConnectionRefusedError(f"tests are offline: {what}")


def block() -> None:
    """Replace what opens connections and what asks for names."""
    original = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
    lookup = socket.getaddrinfo

    def guarded(name: str):
        def call(self: socket.socket, *arguments: object):
            address = arguments[-1]
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _local(address):
                _refuse(f"{name} {address}")
            return original[name](self, *arguments)

        return call

    def guarded_lookup(host: object, *arguments: object, **options: object):
        if host is not None and not _local((host,)) and host != socket.gethostname():
            _refuse(f"getaddrinfo {host!r}")
        return lookup(host, *arguments, **options)

    for name in original:
        setattr(socket.socket, name, guarded(name))
    socket.getaddrinfo = guarded_lookup


def skip_fsync() -> None:
    """Make `os.fsync` check its descriptor and do nothing else.

    A process that ends, even by SIGKILL, loses no byte that it has written. Only a power cut does.
    """
    os.fsync = lambda descriptor: os.fstat(descriptor) and None


if RECORD in os.environ:
    block()
    skip_fsync()
