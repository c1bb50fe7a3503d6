"""Certificate files: which names they are for, and a watch that notices when they were renewed.

A renewed certificate is served without a restart; one that cannot be read leaves the old one in service.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

WATCH_INTERVAL = 10.0
"""Seconds between two looks at the files."""


class CertificateError(Exception):
    """A certificate or key cannot be used; the text says which and why."""


def read_names(certificate: Path) -> tuple[str, ...]:
    """Host names and addresses that a certificate file is for. Raises CertificateError."""
    from cryptography import x509  # slow to import, and not needed where there is only a local certificate

    try:
        return tuple(certificate_names(x509.load_pem_x509_certificates(certificate.read_bytes())[0]))
    except OSError as error:
        raise CertificateError(f"{certificate} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError) as error:
        raise CertificateError(f"{certificate} is not a certificate in PEM form: {error}") from None


def read_expiry(certificate: Path) -> float:
    """When the first certificate of a file ends, in epoch seconds. Raises CertificateError."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError, IndexError) as error:
        raise CertificateError(f"{certificate} cannot be read: {error}") from None


def certificate_names(certificate: "x509.Certificate") -> list[str]:
    """Its subject alternative names, in lower case."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return hosts + [str(address) for address in names.get_values_for_type(x509.IPAddress)]


class CertificateWatch:
    """Calls `reload` when files have changed, and `renew` now and then, until it is cancelled."""

    def __init__(
        self,
        reload: Callable[[], Awaitable[bool]],
        renew: Callable[[], object],
        files: Callable[[], Sequence[Path]],
        *,
        interval: float = WATCH_INTERVAL,
    ) -> None:
        self._reload, self._renew, self._files, self._interval = reload, renew, files, interval
        self._seen = self._signature()

    async def run(self) -> None:
        """A failed reload is tried again with each change of the files: certificate and key seldom change together."""
        while True:
            await asyncio.sleep(self._interval)
            self._renew()
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                await self._reload()

    def _signature(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for path in self._files():
            try:
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found
