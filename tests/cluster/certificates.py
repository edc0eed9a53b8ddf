"""An authority of a test, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nacosx.wire.peers_tls import Contexts, contexts

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Whoever believes `certificate` believes everybody to whom it has issued one."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.pem"
        self._request(name, self._key, self.certificate)

    def issue(self, to: str) -> tuple[Path, Path]:
        """Its certificate and its key."""
        key = self._folder / f"{self._name}-{to}.key"
        certificate = key.with_suffix(".pem")
        self._request(to, key, certificate, "-CA", str(self.certificate), "-CAkey", str(self._key))
        return certificate, key

    def environment(self, to: str) -> dict[str, str]:
        """The settings of a member that shows a certificate of this authority."""
        certificate, key = self.issue(to)
        prefix = "NACOS_REMOTE_PEER_RPC_TLS_"
        return {
            prefix + "ENABLETLS": "true",
            prefix + "MUTUALAUTHENABLE": "true",
            prefix + "CERTCHAINFILE": str(certificate),
            prefix + "CERTPRIVATEKEY": str(key),
            prefix + "TRUSTCOLLECTIONCERTFILE": str(self.certificate),
        }

    def contexts(self, to: str) -> Contexts:
        certificate, key = self.issue(to)
        return contexts(
            certificate=str(certificate), key=str(key), password="", trusted=str(self.certificate), mutual=True
        )

    def _request(self, name: str, key: Path, certificate: Path, *options: str) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", *KEY, "-days", "2", "-subj", f"/CN={name}"),
                *("-keyout", str(key), "-out", str(certificate), *options),
            ],
            check=True,
            capture_output=True,
        )
