# Each target sets up all it needs: Python 3.10 or later and pip are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types unit test-line test-vivid test-embed test-matrix mutants format ptx clean

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

# A line against programs that nobody here wrote: a GigE camera, RTSP, brokers, PLC clients (node-opcua, nodes7, mbpoll), the companion
# model of machine vision, Parquet. Installs them; with EDGEIRF_LINE_PEERS a peer that is missing is a failure, not a skipped test.
PEERS := build/line/node_modules
LINE_PACKAGES := aravis-tools gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly mbpoll mosquitto openssl python3-gi
LINE_TESTS := $(addprefix tests/runtime/,sources/test_genicam.py sources/test_stream.py triggers/test_mqtt.py audit/test_history.py \
	$(addprefix outputs/test_,modbus.py mqtt.py opcua.py s7.py vision_model.py))

test-line: $(VENV)/dev.stamp $(PEERS)
	EDGEIRF_LINE_PEERS=$(CURDIR)/$(PEERS) $(BIN)/pytest -n 2 --dist loadfile $(LINE_TESTS)

$(PEERS): $(VENV)/dev.stamp
	packages="$(LINE_PACKAGES) $$(command -v npm >/dev/null || echo npm)"; dpkg -s $$packages >/dev/null 2>&1 || \
	{ root="$$([ $$(id -u) = 0 ] || echo sudo)"; $$root apt-get update -qq && $$root apt-get install -qq -y $$packages; }
	$(BIN)/python -c "import pyarrow" 2>/dev/null || $(BIN)/pip install --quiet pyarrow
	npm install --prefix build/line --silent --no-audit --no-fund node-opcua-client@2.186 node-opcua-nodesets@2 nodes7@0.3
	touch $@

# edgeirf run on the kernel's test camera for V4L2, in QEMU: five minutes.
test-vivid: $(VENV)/dev.stamp
	$(BIN)/python tests/vivid.py

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
