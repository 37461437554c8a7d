"""Writes the JSON Schemas of custom resources beside this file, from the modules of their makers.

    python -m tests.helm.schemas.make

It needs Go, which fetches the modules; the schemas are checked in, so that tests need neither.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SOURCES = {
    "github.com/kedacore/keda/v2@v2.21.0": ["config/crd/bases/keda.sh_scaledobjects.yaml"],
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": [
        f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
        for kind in ("servicemonitors", "prometheusrules")
    ],
}


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as JSON Schema has it: without texts, and with no field but those it names.

    The API server drops fields that it does not know; a test is to find them.
    """
    kept: dict[str, Any] = {
        key: value
        for key, value in schema.items()
        if key != "description" and not key.startswith("x-kubernetes-")
    }
    if "pattern" in kept:
        # Go takes flags anywhere, Python only in front.
        kept["pattern"] = kept["pattern"].replace("^(?i)", "(?i)^")
    for key in ("items", "additionalProperties", "not"):
        if isinstance(kept.get(key), dict):
            kept[key] = closed(kept[key])
    for key in ("allOf", "anyOf", "oneOf"):
        kept[key] = [closed(each) for each in kept.get(key, [])]
        if not kept[key]:
            del kept[key]
    if "properties" in kept:
        kept["properties"] = {name: closed(each) for name, each in kept["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if kept.pop("nullable", False) and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    return kept


def main() -> None:
    """Fetches the modules and writes a file a kind."""
    for module, paths in SOURCES.items():
        told = subprocess.run(
            ["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True
        )
        folder = Path(json.loads(told.stdout)["Dir"])
        for path in paths:
            spec = yaml.safe_load((folder / path).read_text("utf-8"))["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                schema["$comment"] = f"{module} {path}"
                name = f"{spec['names']['kind']}-{spec['group']}-{version['name']}.json"
                (HERE / name).write_text(json.dumps(schema, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
