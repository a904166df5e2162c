"""Certificates of an authority of one's own, as files."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, and the file that a client has to trust."""

    chain: Path
    key: Path
    trusted: Path

    @property
    def pair(self) -> tuple[Path, Path]:
        """What a server loads."""
        return self.chain, self.key


def certificate(folder: Path, *hosts: str, expired: bool = False) -> Certificate:
    """Issues a certificate for some hosts (unset: 127.0.0.1) by a new authority."""
    authority = trustme.CA()
    end = dt.datetime.now(dt.UTC) - dt.timedelta(days=1) if expired else None
    issued = authority.issue_cert(*(hosts or ("127.0.0.1",)), not_after=end)
    made = Certificate(folder / "chain.pem", folder / "key.pem", folder / "authority.pem")
    issued.cert_chain_pems[0].write_to_path(made.chain)
    issued.private_key_pem.write_to_path(made.key)
    authority.cert_pem.write_to_path(made.trusted)
    return made
