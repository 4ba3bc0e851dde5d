"""Which ROS domain a session of its own runs in: the user's, or one that nobody on this machine uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from giga_bringup.errors import UserError

# Domains up to 101 keep clear of the ephemeral ports of Linux.
DOMAINS = range(1, 102)
# The ports of a domain by the RTPS specification: its first participants' discovery ports lie at these offsets.
PORT_BASE = 7400
PORTS_PER_DOMAIN = 250
PARTICIPANT_PORT_OFFSETS = (10, 12, 14, 16)


@contextlib.contextmanager
def session_domain(domain_id: int | None) -> Iterator[int]:
    """Set ROS_DOMAIN_ID for this process and its children; yields the domain.

    The one asked for, else the user's own ROS_DOMAIN_ID, else a free one, which stays reserved against other sessions
    of this kind and is kept to this machine. Raises UserError for a domain that ROS does not have.
    """
    asked = str(domain_id) if domain_id is not None else os.environ.get("ROS_DOMAIN_ID", "")
    if asked:
        if not asked.isdigit() or int(asked) > 232:
            raise UserError(f"ROS domain {asked} does not exist: a domain id is a whole number from 0 to 232")
        os.environ["ROS_DOMAIN_ID"] = asked
        yield int(asked)
        return
    with _reserved_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield domain


@contextlib.contextmanager
def _reserved_domain() -> Iterator[int]:
    folder = Path(tempfile.gettempdir()) / f"giga-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        with (folder / str(domain)).open("w") as reservation:
            try:
                fcntl.flock(reservation, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _is_silent(domain):
                yield domain
                return
    raise UserError("every ROS domain from 1 to 101 is in use on this machine; set ROS_DOMAIN_ID to the one to use")


def _is_silent(domain: int) -> bool:
    """Whether nobody on this machine listens on the ports of the domain's first participants."""
    for offset in PARTICIPANT_PORT_OFFSETS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", PORT_BASE + PORTS_PER_DOMAIN * domain + offset))
            except OSError:
                return False
    return True
