#!/usr/bin/env bash
# Builds the tools of others that the tests use, each of one version, through the Go module proxy:
#
#   tests/tools/install.sh NAME...          prints the folder of each, where its commands are
#   tests/tools/install.sh --built NAME...  the same, but builds nothing
#
# What has been built is kept in ${MOTET_CACHE_DIR:-~/.cache/motet}/tools/NAME-VERSION and not built
# again. Exits with 3, and says why, where a tool cannot be had on this machine.
set -euo pipefail

folder=${MOTET_CACHE_DIR:-$HOME/.cache/motet}/tools

# name, version, flags of the build, and the packages whose commands are wanted. MODULE//PACKAGE is
# built within its module, for `go install` refuses modules that replace others. Jaeger 1.76 is also
# 2.13; it has every part of the collector that deploy/collector names, and so plays it in the tests.
# What Prometheus finds targets with in clouds is left out: that would be most of it.
tools() {
    cat <<END
helm v4.3.1 helm.sh/helm/v4/cmd/helm
jaeger v1.76.0 github.com/jaegertracing/jaeger//cmd/jaeger
nats v0.5.1 github.com/nats-io/natscli/nats
prometheus v0.316.0 -tags=remove_all_sd github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool
END
}

build() { # build FOLDER VERSION FLAG... PACKAGE...
    local into=$1 version=$2 word module flags=(-trimpath -buildvcs=false -ldflags '-s -w') whole=()
    shift 2
    for word in "$@"; do
        case $word in
            -*) flags+=("$word") ;;
            *//*)
                module=$(go mod download -json "${word%//*}@$version" |
                    sed -nE 's/^\t"Dir": "(.*)",$/\1/p') || return 1
                go build -C "$module" "${flags[@]}" -o "$into/" "./${word#*//}" || return 1
                ;;
            *) whole+=("$word@$version") ;;
        esac
    done
    ((${#whole[@]} == 0)) || GOBIN=$into go install "${flags[@]}" "${whole[@]}"
}

install() { # install NAME VERSION FLAG... PACKAGE...
    local name=$1 version=$2 target=$folder/$1-$2 making
    shift 2
    if [[ ! -e $target ]]; then
        if [[ $built ]]; then
            echo "$name $version is not built: tests/tools/install.sh $name does, in minutes" >&2
            return 3
        fi
        if ! command -v go >/dev/null; then
            echo "$name is built with Go, which this machine does not have" >&2
            return 3
        fi
        making=$(mktemp -d "$folder/.$name-XXXXXX")
        # The parts' own versions are those that the module asks for; checked by Go's sums.
        if ! CGO_ENABLED=0 build "$making" "$version" "$@" >&2; then
            rm -rf "$making"
            echo "$name $version cannot be built here: see above" >&2
            return 3
        fi
        # Another run may have been faster.
        mv --no-target-directory "$making" "$target" 2>/dev/null || rm -rf "$making"
    fi
    echo "$target"
}

built=
if [[ ${1-} == --built ]]; then
    built=yes
    shift
fi
mkdir -p "$folder"
for wanted in "$@"; do
    line=$(tools | grep "^$wanted ") || {
        echo "no tool is called $wanted; there are: $(tools | cut -d' ' -f1 | xargs)" >&2
        exit 2
    }
    read -ra words <<<"$line"
    install "${words[@]}"
done
