"""The house rules that a test can hold."""

import importlib
import pkgutil

import pillarbox


def test_every_module_says_what_it_is() -> None:
    names = [m.name for m in pkgutil.walk_packages(pillarbox.__path__, "pillarbox.")]
    assert names
    without = [
        n for n in names if not n.endswith("__main__") and not (importlib.import_module(n).__doc__ or "").strip()
    ]
    assert not without
