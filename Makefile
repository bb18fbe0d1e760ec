# `make demo` and `make test` do all of their own set-up.
.PHONY: setup demo test check format bench soak clean
PY := .venv/bin/python

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh

demo: setup
	@.venv/bin/boundless demo $(if $(TELESCOPE),--telescope) $(if $(FRAMES),--frames "$(FRAMES)") $(if $(STAY),--stay) $(ARGS)

test: setup check
	@scripts/debian-packages.sh
	@$(PY) -m pytest -n 2 $(ARGS)

check: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check -q .
	@.venv/bin/mypy
	@$(PY) -m numpydoc.hooks.validate_docstrings $$(git ls-files 'src/**/*.py') 
	@.venv/bin/lint-imports --no-cache

format: setup
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .

bench: setup
	@.venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(PY) -m benchmarks $(ARGS)

soak: setup
	@HYPOTHESIS_PROFILE=soak $(PY) -m pytest -m "soak or hypothesis" --timeout 3600 -n 2 $(ARGS)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
