"""What a small cluster lacks beside Kubernetes: directories for claims, network policies enforced.

Claims of the class `local` get a `local` volume on this node, and lose it with the claim.
NetworkPolicies become rules of nftables: what a policy does not allow is dropped.
"""

import ipaddress
import json
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

Object = dict[str, Any]
PROVISIONER = "motet.test/directory"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
TABLE = "motet-policy"


class Api:
    """The API server, by the administrator's certificate."""

    def __init__(self, pki: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def call(self, method: str, path: str, body: Object | None = None) -> Object:
        request = urllib.request.Request(
            f"https://127.0.0.1:6443{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, context=self._context, timeout=10) as answer:
            return json.load(answer)

    def items(self, path: str) -> list[Object]:
        return self.call("GET", f"{path}?resourceVersion=0")["items"]


def provide_volumes(api: Api, root: Path, node: str) -> None:
    classes = {
        found["metadata"]["name"]
        for found in api.items("/apis/storage.k8s.io/v1/storageclasses")
        if found["provisioner"] == PROVISIONER
    }
    volumes = {found["metadata"]["name"]: found for found in api.items("/api/v1/persistentvolumes")}
    for claim in api.items("/api/v1/persistentvolumeclaims"):
        name = f"pvc-{claim['metadata']['uid']}"
        # It is set when a pod that mounts the claim has found its node.
        placed = SELECTED_NODE in claim["metadata"].get("annotations", {})
        wanted = placed and claim["spec"].get("storageClassName") in classes
        if wanted and claim["status"].get("phase") == "Pending" and name not in volumes:
            (root / name).mkdir(parents=True, exist_ok=True)
            api.call("POST", "/api/v1/persistentvolumes", volume(name, claim, root / name, node))
    for name, found in volumes.items():
        mine = found["metadata"].get("annotations", {}).get("provisioned-by") == PROVISIONER
        free = found["status"].get("phase") in ("Released", "Failed")
        if mine and free and found["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            api.call("DELETE", f"/api/v1/persistentvolumes/{name}")
            shutil.rmtree(root / name, ignore_errors=True)


def volume(name: str, claim: Object, path: Path, node: str) -> Object:
    reference = {key: claim["metadata"][key] for key in ("name", "namespace", "uid")}
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": claim["spec"]["resources"]["requests"],
            "accessModes": claim["spec"]["accessModes"],
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }


def matches(selector: Object, labels: dict[str, str]) -> bool:
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or []:
        has, values = rule["key"] in labels, rule.get("values") or []
        inside = has and labels[rule["key"]] in values
        if not {"In": inside, "NotIn": not inside, "Exists": has, "DoesNotExist": not has}[
            rule["operator"]
        ]:
            return False
    return True


class Rules:
    """The policies of all pods as a table of nftables."""

    def __init__(self, policies: list[Object], pods: list[Object], spaces: list[Object]) -> None:
        self._policies = policies
        self._spaces = {
            space["metadata"]["name"]: space["metadata"].get("labels") or {} for space in spaces
        }
        self._pods = [
            pod
            for pod in pods
            if pod["status"].get("podIP")
            and pod["status"]["phase"] in ("Pending", "Running")
            and not pod["spec"].get("hostNetwork")
        ]

    def text(self) -> str:
        chains: list[str] = []
        for direction in ("Ingress", "Egress"):
            jumps: list[str] = []
            side = "daddr" if direction == "Ingress" else "saddr"
            for pod in self._pods:
                address = pod["status"]["podIP"]
                governing = [p for p in self._policies if self._governs(p, pod, direction)]
                if not governing:
                    continue
                name = f"{direction.lower()}-{address.replace('.', '-')}"
                lines = [line for p in governing for line in self._allowed(p, pod, direction)]
                unique = sorted(set(lines))
                chains.append(f"chain {name} {{\n" + "\n".join([*unique, "counter drop"]) + "\n}")
                jumps.append(f"ip {side} {address} jump {name}")
            chains.append(f"chain {direction.lower()} {{\n" + "\n".join(jumps) + "\n}")
        hooks = "ct state established,related accept\n"
        return (
            f"table ip {TABLE} {{\n"
            + "\n".join(chains)
            + "\nchain forward { type filter hook forward priority -5;\n"
            + f"{hooks}jump egress\njump ingress\n}}\n"
            + "chain input { type filter hook input priority -5;\n"
            + f"{hooks}jump egress\n}}\n}}\n"
        )

    def _governs(self, policy: Object, pod: Object, direction: str) -> bool:
        spec = policy["spec"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
        return (
            direction in types
            and policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and matches(spec.get("podSelector") or {}, pod["metadata"].get("labels") or {})
        )

    def _allowed(self, policy: Object, pod: Object, direction: str) -> list[str]:
        lines: list[str] = []
        peers_key, side = ("from", "saddr") if direction == "Ingress" else ("to", "daddr")
        for rule in policy["spec"].get(direction.lower()) or []:
            peers, ports = rule.get(peers_key), rule.get("ports")
            if not peers:
                targets: list[tuple[str, Object | None]] = [("", None)]
            else:
                targets = [
                    target
                    for peer in peers
                    for target in self._peer(peer, policy["metadata"]["namespace"], side)
                ]
            for match, other in targets:
                named = pod if direction == "Ingress" else other
                lines += [f"{match} {port} return" for port in self._ports(ports, named)]
        return lines

    def _peer(self, peer: Object, space: str, side: str) -> list[tuple[str, Object | None]]:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            if ipaddress.ip_network(block["cidr"]).version == 6:
                return []
            match = f"ip {side} {block['cidr']}" if not block["cidr"].endswith("/0") else ""
            if block.get("except"):
                match += f" ip {side} != {{ {', '.join(block['except'])} }}"
            return [(match, None)]
        found: list[tuple[str, Object | None]] = []
        for pod in self._pods:
            other = pod["metadata"]["namespace"]
            if "namespaceSelector" in peer:
                if not matches(peer["namespaceSelector"], self._spaces.get(other, {})):
                    continue
            elif other != space:
                continue
            if matches(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {}):
                found.append((f"ip {side} {pod['status']['podIP']}", pod))
        return found

    def _ports(self, ports: list[Object] | None, named: Object | None) -> list[str]:
        if not ports:
            return [""]
        found: list[str] = []
        for port in ports:
            protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
            if number is None:
                found.append(f"meta l4proto {protocol}")
            elif isinstance(number, int):
                last = f"-{port['endPort']}" if "endPort" in port else ""
                found.append(f"{protocol} dport {number}{last}")
            elif named is not None:
                found += [
                    f"{protocol} dport {exposed['containerPort']}"
                    for container in named["spec"]["containers"]
                    for exposed in container.get("ports") or []
                    if exposed.get("name") == number
                ]
        return found


def enforce(api: Api, before: str) -> str:
    rules = Rules(
        api.items("/apis/networking.k8s.io/v1/networkpolicies"),
        api.items("/api/v1/pods"),
        api.items("/api/v1/namespaces"),
    ).text()
    if rules != before:
        text = f"table ip {TABLE}\ndelete table ip {TABLE}\n{rules}"
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    return rules


def main(root: Path, node: str) -> None:
    api, rules = Api(root / "pki"), ""
    while True:
        try:
            provide_volumes(api, root / "volumes", node)
            rules = enforce(api, rules)
        except (OSError, urllib.error.URLError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"tried again in a second: {error}\n")
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
