#!/usr/bin/env bash
# Locks third parties, with hashes, into requirements files: dev.txt (the demo, the tests and the
# linters in one environment), bootstrap.txt (what installs dev.txt), and one a service. Versions
# already locked stay, unless --upgrade or --upgrade-package NAME is given.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # lock OUTPUT SOURCE...
    local output=$1
    shift
    .venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
        --fork-strategy fewest --no-emit-package motet --custom-compile-command "make lock" \
        --output-file "$output" "$@"
    echo "$output: $(grep -c == "$output") packages"
}

# All extras but openai-whisper, which brings torch.
extras=(cli models providers text embeddings local embedded otlp health testing voice
    faiss chroma milvus)
lock requirements/dev.txt "${extras[@]/#/--extra=}" "$@" \
    requirements/dev.in shared/pyproject.toml services/*/pyproject.toml
lock requirements/bootstrap.txt --constraint requirements/dev.txt requirements/bootstrap.in
# What the images install beside a service's own.
lock requirements/build.txt --constraint requirements/dev.txt requirements/build.in
lock requirements/core.txt --constraint requirements/dev.txt --extra health --extra otlp \
    shared/pyproject.toml
lock requirements/cli.txt --constraint requirements/dev.txt --extra cli --extra health \
    --extra otlp requirements/cli.in shared/pyproject.toml
lock requirements/model.txt --constraint requirements/dev.txt requirements/model.in \
    shared/pyproject.toml
lock requirements/graph-embedded.txt --constraint requirements/dev.txt --extra embedded \
    services/graph/pyproject.toml
# One version of everything everywhere: what the tests ran with is what a service runs with.
for project in services/*/pyproject.toml; do
    lock "${project%/*}/requirements.txt" --constraint requirements/dev.txt "$project"
done
