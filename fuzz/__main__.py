"""Runs targets: `python -m fuzz [TARGET ...] [--seconds 60] [--jobs 2]`, or one input: `python -m fuzz TARGET --input BASE64`.

New inputs that reach new code are added to `.fuzz/NAME/`; the kept corpus is only read. A finding ends the run of its
target, is printed in base64 with the command that repeats it, and is written to `.fuzz/findings/`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz import run
from fuzz.place import FINDINGS, ROOT, WORK, names

SHOWN = 60
"""Lines of a finding's log that are printed."""
_STATISTICS = re.compile(r"stat::(\w+): +(\d+)")


def fuzz(target: str, seconds: int, seed: int) -> tuple[bool, str]:
    """Run one target in a process of its own: whether all was well, and what to say of it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}  # this checkout, installed or not
    if seed:
        environment["PYTHONHASHSEED"] = str(seed)
    before, log = run.findings(target), WORK / f"{target}.log"
    command = [*(steady() if seed else ()), sys.executable, "-m", "fuzz", "--here"]
    command += ["--seconds", str(seconds), "--seed", str(seed), target]
    with log.open("wb") as output:
        status = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
        ).returncode
    text = log.read_text(errors="replace")
    statistics = dict(_STATISTICS.findall(text))
    said = f"{target:14} {statistics.get('number_of_executed_units', '?'):>9} inputs"
    if statistics.get("peak_rss_mb"):
        said += f"  {statistics.get('new_units_added', '?'):>5} new  {statistics['peak_rss_mb']:>4} MiB"
    if not status:
        return True, f"{said}  fine\n"
    lines = [f"{said}  FOUND SOMETHING", *text.splitlines()[-SHOWN:]]
    for path in sorted(run.findings(target) - before):
        encoded = b64encode(path.read_bytes()).decode()
        lines += [
            f"The input, in base64: {encoded}",
            f"Do it again:          make fuzz TARGET={target} INPUT={encoded}",
            f"After mending, keep it under a name that says what it was: fuzz/corpus/{target}/NAME",
        ]
    return False, "\n".join(lines) + "\n"


def steady() -> list[str]:
    """What a command begins with to be loaded at the same addresses each time; empty where the system forbids that, as some
    containers do."""
    prefix = ["setarch", "--addr-no-randomize"]
    if shutil.which(prefix[0]) and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        return prefix
    return []


def fuzz_all(targets: list[str], seconds: int, jobs: int, seed: int) -> bool:
    """Run targets, some at a time, printing each as it ends."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    fine = True
    with ThreadPoolExecutor(jobs) as pool:
        for well, said in pool.map(lambda target: fuzz(target, seconds, seed), targets):
            sys.stdout.write(said)
            sys.stdout.flush()
            fine = fine and well
    return fine


def octets_of(given: str) -> bytes:
    """An input, given as a file's name or in base64."""
    return Path(given).read_bytes() if Path(given).is_file() else b64decode(given, validate=True)


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Coverage-guided fuzzing.")
    parser.add_argument("targets", nargs="*", choices=[*names(), []], help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs again; 0, the default: others each time")
    parser.add_argument("--input", help="run one input of one target: a file, or base64")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.input is not None:
        if len(chosen.targets) != 1:
            parser.error("--input needs one target")
        run.again(chosen.targets[0], octets_of(chosen.input))
        sys.stdout.write("nothing wrong with this input\n")
        return 0
    if chosen.here:
        if not run.available():
            return run.blind(chosen.targets[0], chosen.seconds, chosen.seed)
        run.guided(chosen.targets[0], chosen.seconds, chosen.seed)
    if not run.available():
        version = ".".join(map(str, sys.version_info[:2]))
        sys.stdout.write(
            f"WARNING: atheris has no wheel for Python {version} here, so inputs are NOT guided by coverage: the kept\n"
            "corpus and random damage to it are run instead, within the same bounds. Python 3.11 to 3.13 can do more.\n"
        )
    return 0 if fuzz_all(chosen.targets or names(), chosen.seconds, chosen.jobs, chosen.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
