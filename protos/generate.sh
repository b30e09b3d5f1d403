#!/bin/sh
# Regenerates the committed Python code of every schema, into the tree or into the folder that is named. `make proto-check`
# compares the two and fails when they differ.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
out=${1:-.}
python -m grpc_tools.protoc -I protos --python_out="$out" --mypy_out=quiet:"$out" protos/clusterd/wire/*.proto
python -m grpc_tools.protoc -I protos --python_out="$out" --mypy_out=quiet:"$out" --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" protos/clusterd/adapters/*.proto
