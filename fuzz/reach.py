"""What the kept corpus reaches: `python -m fuzz.reach [TARGET ...]` lists the functions of each target's modules that no
kept input calls. A seed that gets there is worth more than hours of luck."""

import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from fuzz.place import CORPUS, ROOT, WORK, names

SOURCE = ROOT / "src" / "pillarbox"

MODULES = {
    "address": ["mail/address.py"],
    "address_list": ["mail/address_list.py"],
    "config": ["server/config.py", "server/settings.py"],
    "control": ["server/control.py", "server/administration.py"],
    "date": ["mail/date.py"],
    "dns": ["net/dns.py", "mailauth/dns.py"],
    "dsn": ["mail/dsn.py"],
    "encoded_word": ["mail/encoded_word.py", "mail/charset.py"],
    "header": ["mail/header.py"],
    "imap": ["imap"],
    "message": ["imap/fetch/body.py", "imap/fetch/section.py", "imap/fetch/binary.py", "mail/body_structure.py"],
    "mime": ["mail/mime.py", "mail/summary.py", "mail/body_structure.py", "mail/envelope_item.py", "mail/nstring.py"],
    "packed_state": ["store/embedded/summaries.py", "store/embedded/changelog.py", "store/embedded/notes.py"],
    "parameter": ["mail/content_type.py"],
    "pop3": ["pop3"],
    "sasl": [f"sasl/{name}.py" for name in ("authorisation", "login", "plain", "registry", "scram", "scram_message")],
    "sasl_client": ["sasl/client.py", "sasl/scram_message.py"],
    "search": ["store/embedded/text_index.py", "store/embedded/words.py", "mail/search_text.py"],
    "segment": ["store/embedded/segments.py"],
    "smtp": ["smtp/commands", "smtp/extensions", "smtp/engine.py", "smtp/body.py", "smtp/grammar.py", "transfer"],
    "smtp_client": ["smtp/client"],
    "text": ["mail/text.py", "mail/charset.py", "mail/full_text.py"],
    "tls": ["net/tls.py"],
    "transcript": ["observe/transcript.py"],
    "words": ["imap/list_pattern.py", "imap/mailbox_name.py", "imap/message_set.py", "sasl/saslprep.py"],
}


def functions(path: Path) -> set[tuple[str, str]]:
    """Every function of a module: (file, name and line)."""
    found = set()
    stack = [compile(path.read_text(), str(path), "exec")]
    while stack:
        code = stack.pop()
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        stack += inner
        found |= {_key(each) for each in inner if not each.co_name.startswith("<") and each.co_flags & 2}
    return found


def _key(code: CodeType) -> tuple[str, str]:
    return code.co_filename, f"{code.co_firstlineno}: {code.co_qualname}"


def reached(target: str) -> set[tuple[str, str]]:
    """Every function that the corpus calls."""
    called: set[CodeType] = set()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            called.add(frame.f_code)

    from fuzz.targets import TARGETS

    folders = [CORPUS / target, *([WORK / target] if (WORK / target).is_dir() and "--grown" in sys.argv else [])]
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        for path in (path for folder in folders for path in folder.iterdir()):
            TARGETS[target](path.read_bytes())
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {_key(code) for code in called}


def main() -> None:
    """Print what is not reached."""
    for target in [name for name in sys.argv[1:] if not name.startswith("-")] or names():
        paths = [SOURCE / name for name in MODULES[target]]
        files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
        every = set().union(*(functions(file) for file in files))
        missed = every - reached(target)
        print(f"{target}: {len(every) - len(missed)} of {len(every)} functions reached")
        for file, name in sorted(missed):
            print(f"    {Path(file).relative_to(SOURCE)}:{name}")


if __name__ == "__main__":
    main()
