#!/bin/sh
# Regenerates the committed Python code of every schema. `make proto-check` runs it and fails when anything changes.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
python -m grpc_tools.protoc -I protos --python_out=. --mypy_out=quiet:. protos/clusterd/wire/*.proto
python -m grpc_tools.protoc -I protos --python_out=. --mypy_out=quiet:. --grpc_python_out=. --mypy_grpc_out=quiet:. protos/clusterd/adapters/*.proto
