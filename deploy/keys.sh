#!/bin/sh
# What docker-compose.yml's container `keys` does: makes the keys and the password that are missing in
# /keys, and gives each container what is its own in /out/NAME. Nobody else mounts /keys.
set -eu
umask 077

# shellcheck disable=SC2086  # options are words
motet nats keys /keys ${MOTET_OWN_AGENTS:-}
# Hexadecimal: Neo4j's start takes a password that begins with a dash for an option.
[ -s /keys/neo4j ] || python -c 'import secrets; print(secrets.token_hex(24))' >/keys/neo4j

give() { # give FILE NAME/FILE MODE
    rm -f "/out/$2.new"
    cp "$1" "/out/$2.new"
    chmod "$3" "/out/$2.new"
    chown 10001:10001 "/out/$2.new"
    mv -f "/out/$2.new" "/out/$2"
}

give /keys/accounts.conf accounts/accounts.conf 0444
for user in /out/*; do
    user=${user#/out/}
    case $user in
        accounts | neo4j) ;;
        *) give "/keys/$user.seed" "$user/nkey" 0400 ;;
    esac
done
give /keys/neo4j graph/motet_graph_password 0400
printf 'neo4j/%s\n' "$(cat /keys/neo4j)" >/tmp/auth
# Neo4j's container reads it as a user of its own, and is alone with it.
give /tmp/auth neo4j/auth 0444
