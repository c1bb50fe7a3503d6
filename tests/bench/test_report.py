"""The table of the benchmark says how long each kind of operation took, and keeps rows that were not measured again."""

import json
from pathlib import Path

import pytest
from bench.stack import Stack
from bench.workload import WORKLOADS, Meter

from bench import report, workloads

_ = workloads


@pytest.fixture(autouse=True)
def _no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_chart", lambda rows, path: None)


def metered(scale: float) -> Meter:
    """100 NOOPs of 1 to 100 ms, and one COPY."""
    meter = Meter(Stack(), operations=101, seconds=1.0)
    for n in range(1, 101):
        meter.took("noop", n * scale / 1000)
    meter.took("copy", 0.5)
    return meter


def test_latencies_by_kind(tmp_path: Path) -> None:
    sides = {report.OURS: [metered(1), metered(1)], "peers": [metered(2)]}
    rows = report.figures({"mixed": sides}, WORKLOADS)
    assert [round(x) for x in rows[0].kinds["noop"]] == [50, 100, 101, 200]
    report.write(rows, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "| noop | 50.5 / 100.0 | 101.0 / 200.0 |" in text
    assert "| copy | 500.0 / 500.0 |  |" in text


def test_rows_of_one_kind_and_of_before_have_no_such_table(tmp_path: Path) -> None:
    meter = Meter(Stack(), operations=1, seconds=1.0, latencies=[0.1, 0.2])
    report.write(report.figures({"login": {report.OURS: [meter]}}, WORKLOADS), tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    del kept[0]["kinds"]  # as older results are
    (tmp_path / "results.json").write_text(json.dumps(kept))
    report.write(report.figures({"mixed": {report.OURS: [metered(1)]}}, WORKLOADS), tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert text.count("Latencies of") == 1
    assert "IMAP login" in text
