"""Reads a page of metrics as strictly as the format of Prometheus (text, 0.0.4) is written down."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|\Z)')

Sample = tuple[str, frozenset[tuple[str, str]]]


class Read:
    """A page: `values` by name and labels, `kinds` and `helps` by the metric's name."""

    def __init__(self, text: str) -> None:
        assert text.endswith("\n")
        self.values: dict[Sample, float] = {}
        self.kinds: dict[str, str] = {}
        self.helps: dict[str, str] = {}
        current = ""
        for line in text.splitlines():
            if line.startswith("# HELP "):
                current, _, self.helps[current] = line[7:].partition(" ")
                assert current not in self.kinds, f"{current} comes twice"
            elif line.startswith("# TYPE "):
                assert line[7:].split()[0] == current
                self.kinds[current] = line[7:].split()[1]
            else:
                self._sample(line, current)

    def _sample(self, line: str, current: str) -> None:
        match = _SAMPLE.match(line)
        assert match, line
        name, inside, value = match.groups()
        suffixes = ("_bucket", "_sum", "_count") if self.kinds[current] == "histogram" else ("",)
        assert name in {current + suffix for suffix in suffixes}, line
        labels = _LABEL.findall(inside or "")
        assert "".join(f'{k}="{v}",' for k, v in labels).rstrip(",") == (inside or ""), line
        key = (name, frozenset(labels))
        assert key not in self.values, line
        self.values[key] = float(value)

    def value(self, name: str, **labels: str) -> float:
        """One value, 0 when it is not there."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str) -> float:
        """All values of a name."""
        return sum(value for (found, _), value in self.values.items() if found == name)
