"""The rows of the table, in the order in which they run."""

from importlib import import_module

for _name in ("smtp", "relay", "store", "listing", "search", "pop3", "mixed", "indexed", "idle"):
    import_module(f"bench.workloads.{_name}")
