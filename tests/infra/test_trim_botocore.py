"""What the layer keeps of botocore's data is enough, and the same."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import Loader
from botocore.session import Session

from infra.pack import ROOT

SERVICES = ("dynamodb", "s3", "sqs")
REGIONS = ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1")
WHOLE = Path(botocore.__path__[0]) / "data"


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("trimmed") / "data"
    data.mkdir()
    for file in WHOLE.glob("*.json"):
        shutil.copy(file, data)
    for service in SERVICES:
        shutil.copytree(WHOLE / service, data / service)
    subprocess.run([sys.executable, ROOT / "layers/shared/trim-botocore", data, *SERVICES], check=True)
    return data


def client(data: Path, service: str, region: str) -> Any:
    session = Session()
    session.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    session.set_credentials("canary-id", "canary-secret")
    return session.create_client(service, region)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("region", REGIONS)
def test_a_client_of_the_trimmed_data_goes_to_the_same_place(trimmed: Path, service: str, region: str) -> None:
    found = client(trimmed, service, region).meta
    wanted = client(WHOLE, service, region).meta
    assert (found.endpoint_url, found.partition) == (wanted.endpoint_url, wanted.partition)


@pytest.mark.parametrize("service", SERVICES)
def test_it_offers_the_same_operations_with_the_same_members(trimmed: Path, service: str) -> None:
    def members(data: Path) -> dict[str, list[str]]:
        model = client(data, service, REGIONS[0]).meta.service_model
        shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
        return {name: sorted(shape.members) if shape is not None else [] for name, shape in shapes.items()}

    assert members(trimmed) == members(WHOLE)


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dynamodb", "put_item", {"TableName": "t", "Item": {"pk": {"S": "x"}}}),
    ("dynamodb", "query", {"TableName": "t", "KeyConditionExpression": "pk = x"}),
    ("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x"}),
    ("s3", "list_objects_v2", {"Bucket": "b", "Prefix": "p"}),
    ("sqs", "send_message", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/111122223333/q", "MessageBody": "x"}),
)


@pytest.mark.parametrize(("service", "operation", "given"), CALLS)
def test_a_call_sends_the_same(trimmed: Path, service: str, operation: str, given: dict[str, Any]) -> None:
    class Sent(Exception):
        """In the place of an answer."""

    def sent(data: Path) -> tuple[str, str, bytes | None]:
        made = client(data, service, REGIONS[0])
        found: list[tuple[str, str, bytes | None]] = []

        def keep(request: Any, **_: Any) -> None:
            found.append((request.method, request.url, getattr(request.body, "read", lambda: request.body)()))
            raise Sent

        made.meta.events.register("before-send", keep)
        with pytest.raises(Sent):
            getattr(made, operation)(**given)
        return found[0]

    assert sent(trimmed) == sent(WHOLE)


def test_most_of_it_is_gone(trimmed: Path) -> None:
    def size(data: Path) -> int:
        return (data / "endpoints.json").stat().st_size

    assert size(trimmed) < size(WHOLE) / 10
    described = trimmed / "dynamodb/2012-08-10/service-2.json"
    assert set(re.findall(r'"documentation":"(.*?)"', described.read_text(encoding="utf-8"))) == {""}
