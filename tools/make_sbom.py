"""Writes a bill of materials (CycloneDX 1.6, JSON) from the hashed lock, without network: `make sbom > FILE`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """One component for each pinned package, each of its files by SHA-256."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name = re.sub(r"[-_.]+", "-", pin[1]).lower()
            url = f"pkg:pypi/{name}@{pin[2]}"
            found.append(
                {"type": "library", "name": name, "version": pin[2], "purl": url, "bom-ref": url, "hashes": []}
            )
        if digest := _HASH.search(line):
            found[-1]["hashes"].append({"alg": "SHA-256", "content": digest[1]})
    return found


def bill(lock: str) -> dict[str, Any]:
    """The document; the same lock gives the same octets."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "pillarbox", "bom-ref": "pillarbox"}},
        "components": components(lock),
    }


if __name__ == "__main__":
    json.dump(bill((ROOT / "requirements.txt").read_text(encoding="utf-8")), sys.stdout, indent=2)
    sys.stdout.write("\n")
