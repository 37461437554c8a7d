#!/usr/bin/env bash
# Makes .venv what the requirements files say, with the given packages in it as they lie here:
# [PYTHON=...] install.sh FOLDER... Everything fetched is checked against its hash. Takes a Python
# that has pip, or the means to make one.
set -euo pipefail
cd "$(dirname "$0")/.."

for python in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14} ""; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
done
if [[ -z $python ]]; then
    echo "Motet needs Python 3.11 or newer, and ${PYTHON:-python3} is not one;" \
        "name one: make setup PYTHON=..." >&2
    exit 1
fi

if ! .venv/bin/python -m uv --version >/dev/null 2>&1; then
    install=(install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
        --requirement requirements/bootstrap.txt)
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip --clear .venv
        "$python" -m pip --python .venv/bin/python "${install[@]}"
    else
        "$python" -m venv --clear .venv
        .venv/bin/python -m pip "${install[@]}"
    fi
fi

# uv does not read pip's configuration: what pip was told of the index and of its certificate is
# passed on.
told() { sed -nE "s/^(:env:|global)\\.$1='(.*)'\$/\\2/p" <<<"$configuration" | head -n 1; }
configuration=$("$python" -m pip config list 2>/dev/null || true)
index=${UV_DEFAULT_INDEX:-$(told index-url)}
certificate=${SSL_CERT_FILE:-$(told cert)}
[[ -z $index ]] || export UV_DEFAULT_INDEX=$index
[[ -z $certificate ]] || export SSL_CERT_FILE=$certificate

uv() {
    # One line a download; the list of everything that was installed is left out.
    .venv/bin/uv pip "$@" --python .venv/bin/python 2>&1 | sed '/^ [-+~] /d' >&2
}
uv sync --require-hashes requirements/dev.txt
uv install --quiet --no-deps --no-build-isolation "${@/#/--editable=}"
