"""`pillarbox metrics`: a running server's page, and a sentence where none runs."""

import asyncio
from pathlib import Path

from tests.observe.exposition import Read
from tests.server.conftest import loopback_config
from typer.testing import CliRunner

from pillarbox.cli.app import app
from pillarbox.cli.problem import LATER, Problem
from pillarbox.server.assembly import Server


def test_no_server_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["metrics", "--data", str(tmp_path)])
    assert isinstance(result.exception, Problem)
    assert result.exception.status == LATER
    assert "No server runs" in str(result.exception)


async def test_a_running_server(tmp_path: Path) -> None:
    server = Server(loopback_config(tmp_path))
    await server.start()
    try:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["metrics", "--data", str(tmp_path)])
    finally:
        await server.stop()
    assert result.exit_code == 0, result.output
    assert Read(result.stdout).value("pillarbox_accounts") == 0
    assert "pillarbox_build_info" in result.stdout
