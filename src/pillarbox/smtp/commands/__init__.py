"""SMTP's verbs, one file each (RFC 5321 §4.1)."""

import importlib
import pkgutil

from pillarbox.smtp.registry import COMMANDS

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["COMMANDS"]
