"""EHLO keywords, one file each (IANA's registry of SMTP service extensions)."""

import importlib
import pkgutil

from pillarbox.smtp.registry import EXTENSIONS

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["EXTENSIONS"]
