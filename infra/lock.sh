#!/bin/sh
# Write the requirements files: exact versions with hashes, for Python 3.11 and newer on any platform, and no index URL.
# Usage: infra/lock.sh path/to/uv
set -eu
cd "$(dirname "$0")/.."
uv=$1

compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
        --no-emit-index-url --no-header --no-annotate --upgrade --output-file "$output" "$@"
    with_bare_names "$output" > "$output.new"
    mv "$output.new" "$output"
    echo "$output: $(grep -c == "$output") packages"
}

# pip wants `boto3` pinned beside `boto3[crt]` when it checks hashes: print such an entry under both names.
with_bare_names() {
    awk '
        function flush() { if (bare != "") printf "%s%s", bare, rest; bare = ""; rest = "" }
        /^[^ ]/ { flush(); if (match($0, /\[[^]]*\]/)) { bare = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH) "\n" } }
        /^ / { if (bare != "") rest = rest $0 "\n" }
        { print }
        END { flush() }
    ' "$1"
}

compile layers/shared/requirements.txt pyproject.toml
compile infra/locks/local.txt pyproject.toml --extra local --constraint layers/shared/requirements.txt
compile infra/locks/test.txt pyproject.toml --extra local --extra test --constraint infra/locks/local.txt
compile infra/locks/aws.txt --group aws
compile infra/locks/ministack.txt --group ministack
compile infra/locks/checkov.txt --group checkov

# Other people's clients, each for an environment of its own: their own versions stand in the .in files.
for pins in tests/conformance/requirements/*.in; do
    compile "${pins%.in}.txt" "$pins"
done
