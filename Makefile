# Each target sets up all it needs: Python 3.10 or later and pip are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types unit test-line test-embed test-matrix mutants format ptx clean

demo: $(VENV)/train.stamp
	$(BIN)/edgeirf demo

test: lint types unit

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy knows no package mapping: it gets the folders linked into one package.
types: $(VENV)/dev.stamp
	rm -rf build/types && mkdir -p build/types/edgeirf
	ln -s $(CURDIR)/edgeirf/* $(CURDIR)/runtime $(CURDIR)/calib $(CURDIR)/trainers $(CURDIR)/export build/types/edgeirf/
	MYPYPATH=build/types $(BIN)/mypy -p edgeirf

# Two processes, a file at a time: one of them has the fixtures of a file. In order of folders: the long files come early.
unit: $(VENV)/dev.stamp
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Outputs of a line against peers that npm installs: node-opcua, nodes7, and the companion model of machine vision.
PEERS := build/line/node_modules

test-line: $(VENV)/dev.stamp $(PEERS)
	EDGEIRF_LINE_PEERS=$(CURDIR)/$(PEERS) $(BIN)/pytest tests/runtime/outputs/test_opcua.py tests/runtime/outputs/test_vision_model.py tests/runtime/outputs/test_s7.py

$(PEERS):
	npm install --prefix build/line --silent --no-audit --no-fund node-opcua-client@2.186 node-opcua-nodesets@2 nodes7@0.3

# The bare graph in Node; the package's own script would fetch CUDA.
NODE_PEER := build/embed/node_modules

test-embed: $(VENV)/dev.stamp $(NODE_PEER)
	EDGEIRF_NODE_PEER=$(CURDIR)/$(NODE_PEER) $(BIN)/pytest tests/test_examples.py -k node

$(NODE_PEER):
	npm install --prefix build/embed --silent --no-audit --no-fund --ignore-scripts onnxruntime-node@1.30

# The lowest versions that pyproject.toml declares, and the newest: without torch, in virtual environments of their own.
test-matrix:
	$(PYTHON) tests/matrix.py

mutants: $(VENV)/dev.stamp
	$(BIN)/python tests/mutants.py

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/%.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

# The kernels' PTX that the wheel ships; wants nvcc 13.0 on PATH.
ptx: $(VENV)/dev.stamp
	$(BIN)/python -m edgeirf.runtime.kernels.ptx

clean:
	rm -rf $(VENV) build *.egg-info
