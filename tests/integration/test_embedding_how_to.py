"""docs/how-to/change-the-embedding-model.md: what it has an operator do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml
from qdrant_client import QdrantClient, models

from motet.models.encoders import ENCODERS
from motet_retriever.stores.collections import EmbeddingModel
from tests.integration.qdrant_wire import WireServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/change-the-embedding-model.md").read_text("utf-8")


def test_what_is_set_is_a_setting_of_the_service() -> None:
    named = re.findall(r"(?:MOTET_EMBEDDING_MODEL|model\.embedding)=local:(\S+)", PAGE)
    assert set(named) == {"all-minilm-l6-v2", "use-multilingual-v3"} <= set(ENCODERS)
    assert set(re.findall(r"motet models pull (\S+)", PAGE)) <= set(ENCODERS)
    assert "${MOTET_EMBEDDING_MODEL:-" in (ROOT / "docker-compose.yml").read_text("utf-8")
    values = yaml.safe_load((ROOT / "helm/motet/values.yaml").read_text("utf-8"))
    assert "embedding" in values["model"]


def test_only_what_serves_is_left() -> None:
    (snippet,) = re.findall(r"exec -T retriever python -c '\n(.*?)'\n", PAGE, re.DOTALL)
    former, now = (EmbeddingModel(f"fake:{name}", 3).key for name in ("former", "now"))
    vectors = models.VectorParams(size=3, distance=models.Distance.COSINE)
    with WireServer() as wire:
        client = QdrantClient(url=wire.url)
        for name in ("motet", "motet-memory"):
            for key in (former, now):
                client.create_collection(f"{name}-{key}", {"dense": vectors})
            alias = models.CreateAlias(collection_name=f"{name}-{now}", alias_name=name)
            client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
        client.create_collection(f"others-{former}", {"dense": vectors})
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", snippet.replace("http://qdrant:6333", wire.url)],
            capture_output=True,
            text=True,
            check=True,
        )
        left = {each.name for each in client.get_collections().collections}
        client.close()
    assert left == {f"motet-{now}", f"motet-memory-{now}", f"others-{former}"}
    assert set(done.stdout.split()) == {f"motet-{former}", f"motet-memory-{former}", "True"}
