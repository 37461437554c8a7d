#!/usr/bin/env bash
# Builds every image of Motet but `model`, or those named:
# images.sh [planner|...|cli|graph-embedded|model]...
#
# VERSION=0.1.0 is the tag. The package index that pip is configured for is taken; further arguments
# of `docker build` come from BUILD_ARGS.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-$(sed -nE 's/^version = "(.*)"$/\1/p' shared/pyproject.toml)}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
read -ra more <<<"${BUILD_ARGS:-}"
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}}
if [[ -n $index ]]; then
    more+=(--build-arg "UV_DEFAULT_INDEX=$index" --build-arg "PIP_INDEX_URL=$index")
fi

# Weights that this machine has need not be fetched again, and some are only to be had from a hub or
# by Maven's command, which a builder does not have.
rm -rf deploy/weights
for model in bge-small-en-v1.5 whisper-tiny.en; do
    have=${MOTET_CACHE_DIR:-$HOME/.cache/motet}/models/$model
    [[ -e $have/model.onnx || -e $have/model.bin ]] || continue
    mkdir -p deploy/weights/models
    cp -r "$have" deploy/weights/models/
done

build() { # build IMAGE ARGUMENT...
    local image=motet/$1:$version began=$SECONDS
    shift
    docker build --quiet --network host --file deploy/Dockerfile --tag "$image" \
        --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
        "${more[@]}" "$@" . >/dev/null
    echo "$image: $(($(docker image inspect --format '{{.Size}}' "$image") / 1000000)) MB," \
        "$((SECONDS - began)) s"
}

if (($# == 0)); then
    set -- cli graph-embedded
    for project in services/*/requirements.txt; do
        project=${project%/*}
        set -- "$@" "${project##*/}"
    done
fi
for name in "$@"; do
    case $name in
        cli) build cli --target cli ;;
        # Without BuildKit, the stages above it are made too: for the smallest service.
        model) build model --target model --build-arg SERVICE=tool_executor ;;
        graph-embedded)
            build graph-embedded --target service --build-arg SERVICE=graph \
                --build-arg ALSO=graph-embedded
            ;;
        *) build "$name" --target service --build-arg "SERVICE=$name" ;;
    esac
done
