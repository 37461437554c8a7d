#!/usr/bin/env bash
# Makes images of others from their Go modules, for machines that reach no image registry:
#
#   tests/tools/images.sh [collector|jaeger|prometheus]...    all of them by default
#
# Each has the tag that docker-compose.yml names, so that `docker compose --profile observability up`
# finds it, and the user, the entry point and the folders of the public image. Never publish them:
# Jaeger's page in the browser is not in its module, and Jaeger plays the collector.
set -euo pipefail
cd "$(dirname "$0")/../.."

image() { # image NAME: what docker-compose.yml calls it
    sed -nE "s#^ +image: ($1:[^ ]+)\$#\\1#p" docker-compose.yml | head -1
}

make_image() { # make_image IMAGE TOOL COMMAND PATH USER FOLDER...
    local tag binary folder context
    tag=$(image "$1")
    binary=$(tests/tools/install.sh "$2")/$3
    context=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now
    trap "rm -rf '$context'" RETURN
    mkdir -p "$context/root/tmp" "$context/root$(dirname "$4")"
    chmod 1777 "$context/root/tmp"
    cp "$binary" "$context/root$4"
    for folder in "${@:6}"; do mkdir -p "$context/root$folder"; done
    {
        echo "FROM scratch"
        echo "COPY --chown=$5 root/ /"
        echo "LABEL org.opencontainers.image.description=\"made by Motet's tests from a Go module\""
        echo "ENV JAEGER_LISTEN_HOST=0.0.0.0"
        echo "USER $5"
        for folder in "${@:6}"; do echo "VOLUME $folder"; done
        echo "ENTRYPOINT [\"$4\"]"
    } >"$context/Dockerfile"
    docker build --quiet --network host --tag "$tag" "$context" >/dev/null
    echo "$tag: $(($(docker image inspect --format '{{.Size}}' "$tag") / 1000000)) MB"
}

(($#)) || set -- collector jaeger prometheus
for name in "$@"; do
    case $name in
        collector) make_image otel/opentelemetry-collector-contrib jaeger jaeger /otelcol-contrib 10001 ;;
        jaeger) make_image jaegertracing/jaeger jaeger jaeger /cmd/jaeger/jaeger-linux 10001 /tmp ;;
        prometheus) make_image prom/prometheus prometheus prometheus /bin/prometheus 65534 /prometheus ;;
        *)
            echo "no image is made of $name" >&2
            exit 2
            ;;
    esac
done
