#!/bin/sh
# Starts Neo4j with the password of NEO4J_AUTH, or of the file NEO4J_AUTH_FILE: neo4j/PASSWORD.
# With the arguments `neo4j-admin ...` it is that command.
set -eu

[ -z "${NEO4J_AUTH_FILE:-}" ] || NEO4J_AUTH=$(cat "$NEO4J_AUTH_FILE")
mkdir -p /data/conf
cat >/data/conf/neo4j.conf <<END
server.default_listen_address=0.0.0.0
server.https.enabled=false
server.memory.heap.initial_size=256m
server.memory.heap.max_size=${NEO4J_server_memory_heap_max__size:-512m}
server.memory.pagecache.size=${NEO4J_server_memory_pagecache_size:-64m}
dbms.usage_report.enabled=false
END
export NEO4J_HOME=/data NEO4J_CONF=/data/conf
options="-Xms256m -Xmx512m -XX:+UseSerialGC
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED
    --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED
    -Dorg.neo4j.shaded.lucene9.vectorization.upperJavaFeatureVersion=21"
# shellcheck disable=SC2086  # options are words
admin() { java $options -cp '/opt/neo4j/lib/*' org.neo4j.cli.AdminTool "$@"; }
if [ "${1-}" = neo4j-admin ]; then
    shift
    admin "$@"
    exit
fi
[ -d /data/data/dbms ] || admin dbms set-initial-password "${NEO4J_AUTH#*/}"
# shellcheck disable=SC2086
exec java $options -cp '/opt/neo4j/lib/*' org.neo4j.server.CommunityEntryPoint \
    --home-dir=/data --config-dir=/data/conf --console-mode
