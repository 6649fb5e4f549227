# What to type. Everything runs in .venv, which is made here and needs nothing but Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv/bin/python
COMPILED := anomalies/detector/__pycache__/compiled
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_USE_PEP517=1 $(VENV) -m pip install --quiet --no-input

.PHONY: run test test-fast test-long test-timescale soak bench chaos check audit browser nginx

run: .venv/runtime $(COMPILED)
	@exec $(VENV) manage.py up --stop-with-parent

# A file at a time to each process, of which there is one more than processors, and four are enough; each has its servers.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# All of it, or T: a path, path::name, or whatever else pytest takes (make test T="-k banner").
test: .venv/dev $(COMPILED) $(if $(T),,browser nginx)
	$(VENV) -m pytest $(or $(T),$(PARALLEL))

# What needs no server and is quick; it names the tests that have become slow.
test-fast: .venv/dev $(COMPILED)
	$(VENV) -m pytest $(PARALLEL) -m "not servers and not slow" --durations 5 --durations-min 2

# What takes half a minute each and more: processes that are stuck, backups under load, the bench and the chaos themselves.
test-long: .venv/dev $(COMPILED)
	$(VENV) -m pytest -m long

test-timescale: .venv/dev $(COMPILED)
	$(VENV) -m pytest -m timescale

# Eight hours of pushes to pages that stay open.
soak: .venv/dev browser
	SOAK_HOURS=8 $(VENV) -m pytest conductor/tests/test_weight.py

# What a row costs: all of it, or CASE (make bench CASE=single RATE=100 ROOMS=50 SECONDS=20); LONG=1 adds thousands of rooms.
bench: .venv/dev $(COMPILED)
	$(VENV) -m benchmarks --case "$(CASE)" $(if $(RATE),--rate $(RATE)) $(if $(ROOMS),--rooms $(ROOMS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(LONG),--long)

# Faults on purpose; SCENARIO (one of them), SEED and KILLS choose.
chaos: .venv/dev $(COMPILED)
	$(VENV) -m benchmarks.chaos $(if $(SCENARIO),--scenario $(SCENARIO)) --seed $(or $(SEED),1) --kills $(or $(KILLS),100)

# With the settings of production, and no server running.
check: export SECRET_KEY := only-for-the-checks-0123456789-abcdefghijklmnopqrstuvwxyz
check: export DEBUG := 0
check: .venv/dev
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy
	$(VENV) -c "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
	$(VENV) -W "ignore:Got an error checking a consistent migration history:RuntimeWarning" manage.py makemigrations --check --dry-run
	$(VENV) manage.py check --deploy --fail-level WARNING

# Known vulnerabilities in what is served; where their database cannot be asked, it says that it was skipped.
audit: .venv/dev
	$(VENV) .ci/audit.py

# Stamps: a changed requirements file installs again.
.venv/runtime: requirements.txt | .venv/bin/python
	@echo "Installing requirements.txt into .venv"
	@$(PIP) -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing requirements-dev.txt into .venv"
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/runtime

# The detector as machine code, kept for the sources as they are and as they were last: no row ever waits for it.
$(COMPILED): $(wildcard anomalies/detector/*.py) engagement/readings.py | .venv/runtime
	@echo "Compiling the detector"
	@$(VENV) -c "from anomalies.detector.replay import prepare; prepare()"
	@ls -td $(@D)/compiled-* | tail -n +3 | xargs rm -rf
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	@$(PYTHON) -m venv .venv

# Debian's chromium for the browser tests, where it may be installed; without one those tests skip and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
		command -v apt-get >/dev/null && $$sudo true 2>/dev/null && \
		echo "Installing chromium for the browser tests" && \
		$$sudo apt-get update -qq >/dev/null && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; \
	} || echo "No chromium here: the browser tests will skip. Install it, or name one with CHROMIUM=..."

# Debian's nginx for the tests of the proxy, beside the packages: installed, it would start to serve this machine.
nginx: .venv/dev
	@PATH="$$PATH:/usr/sbin:.venv/nginx/usr/sbin" command -v nginx >/dev/null || { \
		command -v apt-get >/dev/null && echo "Fetching nginx for the tests of the proxy" && \
		{ [ "$$(id -u)" != 0 ] || apt-get update -qq >/dev/null; } && \
		mkdir -p .venv/nginx && cd .venv/nginx && apt-get download -qq nginx >/dev/null 2>&1 && \
		dpkg-deb -x nginx_*.deb . && usr/sbin/nginx -v 2>/dev/null; \
	} || echo "No nginx here: the tests of the proxy will skip."
