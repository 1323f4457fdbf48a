#!/bin/sh
# Write the requirements files: exact versions with hashes, for Python 3.11 and newer on any platform, and no index URL.
# Usage: infra/lock.sh path/to/uv
set -eu
cd "$(dirname "$0")/.."
compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
        --no-annotate --upgrade --output-file "$output" "$@"
    echo "$output: $(grep -c == "$output") packages"
}
uv=$1
compile layers/shared/requirements.txt pyproject.toml
compile infra/locks/local.txt pyproject.toml --extra local --constraint layers/shared/requirements.txt
compile infra/locks/test.txt pyproject.toml --extra local --extra test --constraint infra/locks/local.txt
compile infra/locks/aws.txt --group aws
