#!/usr/bin/env bash
# Brings the chart's copies of what compose mounts up to date: a chart can read nothing that lies
# outside of it. A contract test compares them.
set -euo pipefail
cd "$(dirname "$0")/.."

for path in nats/nats.conf collector/config.yaml jaeger/config.yaml prometheus/rules grafana/dashboards; do
    [[ -e deploy/$path ]] || continue
    rm -rf "helm/motet/files/$path"
    mkdir -p "$(dirname "helm/motet/files/$path")"
    cp -R "deploy/$path" "helm/motet/files/$path"
done
