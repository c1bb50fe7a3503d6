# `make run` starts a demo server; `make test` runs the tests. Both set everything up in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test check lint format interop scan fuzz crash soak dos lock sbom bench clean help

help:
	@echo "make run      start a demo mail server on unprivileged ports"
	@echo "make test     run the tests"
	@echo "make check    format, lint, types, import directions, sizes (these alone: make lint), and the tests"
	@echo "make interop  round trips with real mail programs (needs curl, swaks, msmtp, isync, fetchmail, mutt, gsasl, haproxy; as root, with sslscan, testssl.sh, nmap)"
	@echo "make scan     sslscan, testssl.sh and nmap look at all seven ports (as root)"
	@echo "make crash    kill the server under load, and look whether anything is lost: make crash [KILLS=50] [SEED=2] [PREFIXES=150] [WORK=30]"
	@echo "make soak     mixed load for long, looking at memory, descriptors, lag and the log: make soak [MINUTES=10]"
	@echo "make dos      attack the server, and look what its users notice: make dos [ONLY=login-storm,botnet] [ATTACK_SECONDS=8]"
	@echo "make fuzz     feed nonsense to parsers and engines: make fuzz [TARGET=imap] [SECONDS=60] [INPUT=base64]"
	@echo "make bench    measure against Postfix + Dovecot: make bench [ONLY=login,flags] [ROUNDS=3]"
	@echo "make bench-growth  how cost grows with mailbox, connections, accounts, size, queue: make bench-growth [LARGEST=100000]"
	@echo "make bench-flat    memory over time and lag of the loop under a mixed load: make bench-flat [MINUTES=20]"
	@echo "make bench-start   how long --help and the start of the demo take: make bench-start [MESSAGES=100000]"
	@echo "make bench-micro   parsers, formatters and writes one by one: make bench-micro [COMPARE=0001], which fails at 25% slower"

$(STAMP): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Pillarbox needs Python 3.11 or newer: apt-get install python3, or set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: $(STAMP)
	@exec $(BIN)/pillarbox demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n auto -m "not interop and not slow"

check: lint test

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_size.py

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

interop: $(STAMP)
	$(BIN)/python -m pytest -m interop

scan: $(STAMP)
	@$(BIN)/python -m tests.gates.scan --write

SECONDS ?= 60
fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: 'atheris>=3' || true
	@$(BIN)/python -m fuzz $(TARGET) $(if $(INPUT),--input $(INPUT),--seconds $(SECONDS) $(if $(JOBS),--jobs $(JOBS)) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED)))

bench: $(STAMP)
	@bench/install_peers
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check matplotlib
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OUTPUT),--output $(OUTPUT))

.PHONY: bench-growth
bench-growth: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check matplotlib
	$(BIN)/python -m bench.growth $(if $(ONLY),--only $(ONLY)) $(if $(LARGEST),--largest $(LARGEST)) $(if $(OUTPUT),--output $(OUTPUT))

.PHONY: bench-flat
bench-flat: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check matplotlib
	$(BIN)/python -m bench.flat $(if $(OUTPUT),--output $(OUTPUT)) --minutes $(if $(filter command line,$(origin MINUTES)),$(MINUTES),20)

.PHONY: bench-start
bench-start: $(STAMP)
	$(BIN)/python -m bench.starting $(if $(OUTPUT),--output $(OUTPUT)) $(if $(MESSAGES),--messages $(MESSAGES))

.PHONY: bench-micro
bench-micro: $(STAMP)
	$(BIN)/python -m pytest -q -p benchmark -o timeout=0 bench/micro --benchmark-group-by=fullfunc --benchmark-columns=min,median,iqr,rounds \
	  --benchmark-sort=fullname --benchmark-autosave $(if $(COMPARE),--benchmark-compare=$(COMPARE) --benchmark-compare-fail=min:25%)

KILLS ?= 50
SEED ?= 2
PREFIXES ?= 150
WORK ?= 30
crash: $(STAMP)
	@KILLS=$(KILLS) SEED=$(SEED) PREFIXES=$(PREFIXES) WORK=$(WORK) $(BIN)/python -m pytest -q -s -m slow tests/crash

MINUTES ?= 10
soak: $(STAMP)
	@$(BIN)/python -W ignore -m tests.crash.soak --minutes $(MINUTES)

ATTACK_SECONDS ?= 8
dos: $(STAMP)
	@PYTHONPATH=src $(BIN)/python -W ignore -m tests.dos $(if $(ONLY),--only $(ONLY)) --seconds $(ATTACK_SECONDS)

lock:
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev pyproject.toml -o requirements.txt

sbom:
	@$(PYTHON) tools/make_sbom.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache
