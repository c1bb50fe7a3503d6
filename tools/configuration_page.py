"""Writes docs/configuration.md from the settings themselves. Run it after changing one: tests compare."""

import sys
from pathlib import Path

from pillarbox.server.settings import settings

HEAD = """# Configuration

One TOML file, `pillarbox serve --config FILE`. Every setting has a default; an unknown one is an error that names the
nearest. `pillarbox config check FILE` says whether a file is right. `pillarbox config explain` prints what follows as a
configuration file. Written by `tools/configuration_page.py`.
"""


def page() -> str:
    """The whole page."""
    written = [HEAD, "| setting | default | meaning |", "|---|---|---|"]
    for setting in settings():
        if setting.key.startswith("["):
            written += [
                "",
                f"## `{setting.key}`",
                "",
                setting.meaning,
                "",
                "| setting | default | meaning |",
                "|---|---|---|",
            ]
        else:
            default = setting.default.replace("|", "\\|")
            written.append(f"| `{setting.key}` | `{default}` | {setting.meaning} |")
    return "\n".join(written).replace("| setting | default | meaning |\n|---|---|---|\n\n", "") + "\n"


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs/configuration.md").write_text(page(), encoding="utf-8")
    sys.stdout.write("docs/configuration.md is written\n")
