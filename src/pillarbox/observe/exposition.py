"""A page of metrics in the text format of Prometheus, version 0.0.4, which OpenMetrics scrapers read too.

Our own: the format is thirty lines, and the well-known library takes a lock for each count.
"""

import math
from collections import defaultdict

from pillarbox.observe.metrics import METRICS, Metric
from pillarbox.store.durations import Durations

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Page:
    """Takes values in any order and writes them in that of METRICS; a metric without a value is left out."""

    def __init__(self) -> None:
        self._lines: defaultdict[Metric, list[str]] = defaultdict(list)

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """One value, with the values of the metric's labels."""
        self._put(metric, "", dict(zip(metric.labels, labels, strict=True)), value)

    def add_durations(self, metric: Metric, durations: Durations) -> None:
        """A histogram without labels."""
        counts, total = list(durations.counts), 0  # one copy: it may be counted on meanwhile
        for bound, count in zip((*durations.bounds, math.inf), counts, strict=True):
            total += count
            self._put(metric, "_bucket", {"le": _number(bound)}, total)
        self._put(metric, "_sum", {}, durations.total)
        self._put(metric, "_count", {}, total)

    def text(self) -> str:
        """The page."""
        found: list[str] = []
        for metric in METRICS:
            if lines := self._lines.get(metric):
                meaning = metric.meaning.replace("\\", r"\\").replace("\n", r"\n")
                found += [f"# HELP {metric.name} {meaning}", f"# TYPE {metric.name} {metric.kind}", *lines]
        return "\n".join(found) + "\n"

    def _put(self, metric: Metric, suffix: str, labels: dict[str, str], value: float) -> None:
        inside = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        braces = f"{{{inside}}}" if inside else ""
        self._lines[metric].append(f"{metric.name}{suffix}{braces} {_number(value)}")


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
