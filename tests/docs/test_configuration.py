"""docs/configuration.md and `pillarbox config explain` show every setting as it is."""

import tomllib
from pathlib import Path

from tools.configuration_page import page
from typer.testing import CliRunner

from pillarbox.cli.app import app
from pillarbox.server.config import parse
from pillarbox.server.settings import Config, settings


def test_the_page_is_up_to_date() -> None:
    written = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert written == page(), "run: python tools/configuration_page.py"


def test_explain_prints_a_configuration_that_changes_nothing() -> None:
    text = CliRunner().invoke(app, ["config", "explain"]).stdout
    tomllib.loads(text)
    assert parse(text.encode()) == Config()


def test_every_setting_has_a_meaning() -> None:
    for setting in settings():
        assert setting.meaning.endswith("."), setting.key
