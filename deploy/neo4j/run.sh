#!/bin/sh
# Starts a real Neo4j on loopback: its server's jars from Maven Central, the machine's own Java (17 or
# later). The first start downloads 125 MB. Ctrl-C ends it.
#
# NEO4J_FOLDER    where jars and data are (default ~/.cache/motet/neo4j)
# NEO4J_PORT      the Bolt port (default 7687)
# NEO4J_PASSWORD  of the user neo4j, set at the first start (default motet-graph)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${NEO4J_FOLDER:-$HOME/.cache/motet/neo4j}
port=${NEO4J_PORT:-7687}
password=${NEO4J_PASSWORD:-motet-graph}

for needed in java mvn; do
    if ! command -v "$needed" >/dev/null; then
        echo "Neo4j needs $needed: install a Java of version 17 or later, and Maven." >&2
        exit 2
    fi
done

lib=$folder/lib-$(cksum <"$here/pom.xml" | cut -d' ' -f1)
if [ ! -d "$lib" ]; then
    echo "fetching Neo4j to $lib" >&2
    mkdir -p "$folder"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$lib.new"
    mv "$lib.new" "$lib"
fi

mkdir -p "$folder/conf"
cat >"$folder/conf/neo4j.conf" <<EOF
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:$port
server.http.enabled=false
server.https.enabled=false
server.memory.heap.initial_size=256m
server.memory.heap.max_size=512m
server.memory.pagecache.size=64m
dbms.usage_report.enabled=false
EOF
export NEO4J_HOME="$folder" NEO4J_CONF="$folder/conf"

options="-Xms256m -Xmx512m -XX:+UseSerialGC
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED
    --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED
    -Dorg.neo4j.shaded.lucene9.vectorization.upperJavaFeatureVersion=21"
if [ ! -d "$folder/data/dbms" ]; then
    # shellcheck disable=SC2086  # options are words
    java $options -cp "$lib/*" org.neo4j.cli.AdminTool dbms set-initial-password "$password" >&2
fi
echo "Neo4j: MOTET_GRAPH_URL=bolt://127.0.0.1:$port MOTET_GRAPH_PASSWORD=$password" >&2
# shellcheck disable=SC2086
exec java $options -cp "$lib/*" org.neo4j.server.CommunityEntryPoint \
    --home-dir="$folder" --config-dir="$folder/conf"
