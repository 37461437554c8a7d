#!/usr/bin/env bash
# A real Kubernetes of one node on this machine, without any image registry: cluster.sh COMMAND
#   build        build it from Go modules, once (an hour of one core)
#   up | down    start it, or what of it is not running; stop it (what it holds is kept)
#   wipe         stop it and remove what it holds
#   load IMAGE.. give it images of the Docker engine
#   images       give it all of the engine's that the chart or its tests may want
#   keda         build KEDA from its Go module, once (an hour of one core), and install it
#   kill ID      SIGKILL to the process of a container, past the kubelet
#   kubelet      restart the kubelet
# It wants root, Go, containerd, runc, nft, jq, openssl, the CNI plugins and a Docker engine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=${MOTET_CLUSTER_DIR:-${MOTET_CACHE_DIR:-$HOME/.cache/motet}/cluster}
version=1.33.13 coredns=1.12.2 etcd=3.5.21 keda=2.17.2
node=motet-node pods=10.244.0 services=10.96
bin=$root/bin pki=$root/pki run=$root/run logs=$root/logs state=/run/motet-cluster
address=$(ip -4 route get 192.0.2.1 | sed -nE 's/.* src ([0-9.]+).*/\1/p')
export KUBECONFIG=$root/admin.conf PATH=$bin:$PATH

build() { # one binary of Kubernetes and etcd, CoreDNS, and what holds a pod's network open
    mkdir -p "$bin" "$root/src"
    export CGO_ENABLED=0 GOFLAGS=-trimpath
    cd "$root/src" && cp -r "$here"/src/. . && rm -f kube/go.mod kube/go.sum dns/go.mod dns/go.sum
    local staging part flags="-s -w"
    staging=$(go mod download -json "k8s.io/kubernetes@v$version" | jq -r .GoMod |
        xargs sed -nE 's|^\s+(k8s.io/\S+) => ./staging.*|\1|p')
    for part in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $part.gitVersion=v$version -X $part.gitTreeState=clean"
        flags+=" -X $part.gitMajor=${version%%.*} -X $part.gitMinor=$(cut -d. -f2 <<<"$version")"
    done
    {
        printf 'module kube\ngo 1.24.0\ngodebug default=go1.24\n'
        printf 'require k8s.io/kubernetes v%s\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$version" "$etcd"
        printf "replace %s => %s v0.${version#*.}\n" $(for part in $staging; do echo "$part $part"; done)
    } >kube/go.mod
    printf 'module dns\ngo 1.24.0\nrequire github.com/coredns/coredns v%s\n' "$coredns" >dns/go.mod
    for part in api apimachinery client-go; do
        printf 'replace k8s.io/%s => k8s.io/%s v0.%s\n' $part $part "${version#*.}" >>dns/go.mod
    done
    (cd kube && go mod tidy -e && nice go build -ldflags "$flags" -o "$bin/kube" .)
    (cd dns && go mod tidy -e && nice go build -ldflags "-s -w" -o "$bin/coredns" .)
    (cd pause && go build -ldflags "-s -w" -o "$bin/pause" .)
    for part in etcd kubectl kubelet kube-{apiserver,controller-manager,scheduler,proxy}; do
        ln -sf kube "$bin/$part"
    done
}

certificate() { # certificate NAME SUBJECT [EXTENSIONS]
    openssl req -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -subj "$2" 2>/dev/null |
        openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
            -extfile <(echo "$3") -out "$pki/$1.crt" 2>/dev/null
}

configure() {
    mkdir -p "$pki" "$run" "$logs" "$root"/{cni,config,volumes}
    if [[ ! -e $pki/ca.crt ]]; then
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=motet-cluster \
            -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
        openssl genrsa -out "$pki/accounts.key" 2048 2>/dev/null
        certificate server /CN=$node "extendedKeyUsage=serverAuth
subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,\
DNS:$node,IP:127.0.0.1,IP:$address,IP:$services.0.1"
        certificate admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
        certificate front /CN=front-proxy extendedKeyUsage=clientAuth
        kubectl config set-cluster motet --server "https://127.0.0.1:6443" --embed-certs \
            --certificate-authority "$pki/ca.crt" >/dev/null
        kubectl config set-credentials admin --embed-certs --client-certificate "$pki/admin.crt" \
            --client-key "$pki/admin.key" >/dev/null
        kubectl config set-context motet --cluster motet --user admin >/dev/null
        kubectl config use-context motet >/dev/null
    fi
    local file
    for file in containerd.toml kubelet.yaml proxy.yaml 10-bridge.conflist; do
        sed -e "s|@ROOT@|$root|g; s|@STATE@|$state|g; s|@PODS@|$pods|g; s|@SERVICES@|$services|g" \
            -e "s|@NODE@|$node|g" "$here/config/$file" >"$root/config/$file.new"
        # kube-proxy ends when its file is written, also where nothing in it changes.
        if cmp -s "$root/config/$file"{.new,}; then rm "$root/config/$file.new"; else mv "$root/config/$file"{.new,}; fi
    done
    cp "$root/config/10-bridge.conflist" "$root/cni/"
}

alive() { [[ -e $run/$1.pid ]] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; }

start() { # start NAME COMMAND...: in a session of its own, so that nothing else ends it
    alive "$1" && return
    setsid "${@:2}" >>"$logs/$1.log" 2>&1 </dev/null &
    echo $! >"$run/$1.pid"
}

stop() { # stop NAME: and wait till it is gone
    if alive "$1"; then
        kill "$(cat "$run/$1.pid")" && while alive "$1"; do sleep 0.2; done
    fi
    rm -f "$run/$1.pid"
}

start_kubelet() {
    start kubelet kubelet --config "$root/config/kubelet.yaml" --kubeconfig "$KUBECONFIG" \
        --root-dir "$root/kubelet" --hostname-override $node --node-ip "$address"
}

containers() { ctr --address "$state/containerd.sock" --namespace k8s.io "$@"; }

load() { # load IMAGE...: of the Docker engine
    docker save "$@" | containers images import - >/dev/null
}

images() {
    local version
    version=$(sed -nE 's/^appVersion: "(.*)"$/\1/p' "$here/../../helm/motet/Chart.yaml")
    docker build --quiet --build-arg "BASE=motet/tool_executor:$version" --tag motet-test/press:1 \
        --file "$here/press/Dockerfile" "$here/.." >/dev/null
    docker image ls --format '{{.Repository}}:{{.Tag}}' |
        grep -E '^(motet|motet-test|qdrant|jaegertracing|otel)/|^(nats|neo4j):' | xargs "$here/cluster.sh" load
}

scratch() { # scratch IMAGE BINARY: an image that holds one static binary
    tar -C "$bin" -c "$2" | docker import --change "ENTRYPOINT [\"/$2\"]" - "$1" >/dev/null
    load "$1"
}

keda() { # operator and metrics adapter; its admission webhooks are left out
    local module part
    module=$(go mod download -json "github.com/kedacore/keda/v2@v$keda" | jq -r .Dir)
    for part in operator adapter; do
        if [[ ! -x $bin/keda-$part ]]; then
            CGO_ENABLED=0 nice go build -C "$module" -mod=readonly -trimpath -ldflags "-s -w" \
                -o "$bin/keda-$part" "./cmd/$part"
        fi
        scratch "localhost/motet-cluster/keda-$part:1" "keda-$part"
    done
    rm -rf "$root/keda" && cp -r "$module/config" "$root/keda" && chmod -R u+w "$root/keda"
    cp "$here/config/keda.yaml" "$root/keda/kustomization.yaml"
    kubectl apply --server-side --force-conflicts -k "$root/keda" >/dev/null
    kubectl -n keda rollout status --timeout=300s deployment/keda-operator
    kubectl -n keda rollout status --timeout=300s deployment/keda-metrics-apiserver
}

up() {
    configure
    start etcd etcd --data-dir "$root/etcd" --listen-client-urls http://127.0.0.1:2379 \
        --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
        --unsafe-no-fsync --log-level warn
    start apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
        --advertise-address "$address" --service-cluster-ip-range $services.0.0/16 \
        --client-ca-file "$pki/ca.crt" --authorization-mode Node,RBAC \
        --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" \
        --kubelet-preferred-address-types InternalIP \
        --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$pki/accounts.key" \
        --service-account-signing-key-file "$pki/accounts.key" \
        --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy \
        --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
        --requestheader-extra-headers-prefix X-Remote-Extra- --allow-privileged \
        --proxy-client-cert-file "$pki/front.crt" --proxy-client-key-file "$pki/front.key"
    start containerd containerd --config "$root/config/containerd.toml"
    until kubectl get --raw /readyz >/dev/null 2>&1; do
        alive apiserver || { tail -n 5 "$logs/apiserver.log" && exit 1; }
        sleep 1
    done
    start controllers kube-controller-manager --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 \
        --service-account-private-key-file "$pki/accounts.key" --root-ca-file "$pki/ca.crt" \
        --use-service-account-credentials --leader-elect=false
    start scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 \
        --leader-elect=false
    local side
    for side in -i -o; do # Docker drops what it does not know
        iptables -C FORWARD $side motet0 -j ACCEPT 2>/dev/null ||
            iptables -I FORWARD $side motet0 -j ACCEPT
    done
    containers images ls -q | grep -q localhost/motet-cluster/pause || scratch localhost/motet-cluster/pause:1 pause
    containers images ls -q | grep -q localhost/motet-cluster/coredns || scratch localhost/motet-cluster/coredns:1 coredns
    start_kubelet
    start proxy kube-proxy --config "$root/config/proxy.yaml"
    start node python3 "$here/node.py" "$root" $node
    sed "s|@SERVICES@|$services|g" "$here/config/cluster.yaml" | kubectl apply -f - >/dev/null
    kubectl wait --for=create --timeout=60s node/$node >/dev/null
    kubectl wait --for=condition=Ready --timeout=120s node/$node
    kubectl -n kube-system rollout status --timeout=120s deployment/coredns
    echo "export KUBECONFIG=$KUBECONFIG PATH=$bin:\$PATH"
}

down() {
    local part side
    for part in node proxy kubelet; do stop $part; done
    containers tasks ls -q 2>/dev/null | while read -r part; do
        containers tasks kill --signal SIGKILL "$part" 2>/dev/null || true
    done
    for part in scheduler controllers apiserver etcd; do stop $part; done
    sleep 1
    stop containerd
    nft delete table ip kube-proxy 2>/dev/null || true
    nft delete table ip6 kube-proxy 2>/dev/null || true
    nft delete table ip motet-policy 2>/dev/null || true
    for side in -i -o; do iptables -D FORWARD $side motet0 -j ACCEPT 2>/dev/null || true; done
}

wipe() {
    down
    grep -oE " ($root|$state)/[^ ]*" /proc/mounts | sort -r | xargs -r umount
    rm -rf "$root"/{etcd,kubelet,containerd,volumes,logs,run,pki,admin.conf} "$state"
    ip link delete motet0 2>/dev/null || true
}

case ${1:-} in
build | up | down | wipe) "$1" ;;
load) load "${@:2}" ;;
images | keda) "$1" ;;
kill) containers tasks kill --signal SIGKILL "$2" ;;
kubelet) stop kubelet && start_kubelet ;;
*) sed -n '2,11s/^# //p' "$0" && exit 2 ;;
esac
