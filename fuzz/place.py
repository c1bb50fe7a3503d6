"""Where things lie: the kept corpus, and what a run writes (never committed)."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"
WORK = ROOT / ".fuzz"
FINDINGS = WORK / "findings"


def names() -> list[str]:
    """Every target; each has a folder in the corpus."""
    return sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
