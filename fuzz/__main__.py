"""Runs targets under atheris: `python -m fuzz [TARGET ...] [--seconds 60]`. New inputs that reach new code are added to
`.fuzz/NAME/`; the kept corpus is only read. A finding ends the run of its target and is written to `.fuzz/findings/`.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"
WORK = ROOT / ".fuzz"

LONGEST = 4096
"""Octets of an input: longer ones are what the tests of limits are for."""
SLOWEST = 5
"""Seconds after which an input counts as a finding."""
LARGEST = 2048
"""MiB of memory at which a run counts as a finding."""


def fuzz(target: str, seconds: int) -> None:
    """Run one target in this process; ends it."""
    try:
        import atheris
    except ImportError:
        sys.exit(
            "atheris is not installed: `make fuzz` installs it, where there is a wheel for this Python (3.11-3.13)."
        )
    with atheris.instrument_imports(include=["pillarbox"]):
        from fuzz.targets import TARGETS
    grown, findings = WORK / target, WORK / "findings"
    grown.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], str(grown), str(CORPUS / target), f"-max_total_time={seconds}", f"-max_len={LONGEST}",
        f"-timeout={SLOWEST}", f"-rss_limit_mb={LARGEST}", f"-artifact_prefix={findings}/{target}-",
        "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


def names() -> list[str]:
    """Every target; each has a folder in the corpus."""
    return sorted(path.name for path in CORPUS.iterdir() if path.is_dir())


def main() -> int:
    """Each target in a process of its own; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Coverage-guided fuzzing.")
    parser.add_argument("targets", nargs="*", choices=[*names(), []], help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        fuzz(chosen.targets[0], chosen.seconds)
        return 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}  # this checkout, installed or not
    found = []
    for target in chosen.targets or names():
        log = WORK / f"{target}.log"
        WORK.mkdir(exist_ok=True)
        with log.open("wb") as output:
            command = [sys.executable, "-m", "fuzz", "--here", "--seconds", str(chosen.seconds), target]
            status = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
            ).returncode
        text = log.read_text(errors="replace")
        inputs = [line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line]
        sys.stdout.write(f"{target:14} {inputs[-1] if inputs else '?':>10} inputs  {'found' if status else 'fine'}\n")
        sys.stdout.flush()
        if status:
            found.append(target)
            sys.stdout.write("\n".join(text.splitlines()[-60:]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
