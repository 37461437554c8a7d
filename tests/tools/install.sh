#!/usr/bin/env bash
# Builds the tools of others that the tests use, each of one version, through the Go module proxy:
#
#   tests/tools/install.sh NAME...      prints the folder of each, where its commands are
#
# What has been built is kept in ${MOTET_CACHE_DIR:-~/.cache/motet}/tools/NAME-VERSION and not built
# again. Exits with 3, and says why, where a tool cannot be had on this machine.
set -euo pipefail

folder=${MOTET_CACHE_DIR:-$HOME/.cache/motet}/tools

# name, version, and the packages whose commands are wanted
tools() {
    cat <<END
helm v4.3.1 helm.sh/helm/v4/cmd/helm
END
}

install() { # install NAME VERSION PACKAGE...
    local name=$1 version=$2 target=$folder/$1-$2 making
    shift 2
    if [[ ! -e $target ]]; then
        if ! command -v go >/dev/null; then
            echo "$name is built with Go, which this machine does not have" >&2
            return 3
        fi
        making=$(mktemp -d "$folder/.$name-XXXXXX")
        # The parts' own versions are those that the module asks for; checked by Go's sums.
        if ! GOBIN=$making CGO_ENABLED=0 GOFLAGS=-trimpath \
            go install -ldflags '-s -w' "${@/%/@$version}" >&2; then
            rm -rf "$making"
            echo "$name $version cannot be built here: see above" >&2
            return 3
        fi
        # Another run may have been faster.
        mv --no-target-directory "$making" "$target" 2>/dev/null || rm -rf "$making"
    fi
    echo "$target"
}

mkdir -p "$folder"
for wanted in "$@"; do
    line=$(tools | grep "^$wanted ") || {
        echo "no tool is called $wanted; there are: $(tools | cut -d' ' -f1 | xargs)" >&2
        exit 2
    }
    read -ra words <<<"$line"
    install "${words[@]}"
done
