"""What the layer keeps of botocore's data is enough, and the same."""

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


class Sent(Exception):
    """A request has got as far as the network; where it goes."""


def sent_to(found: Any, operation: str, arguments: dict[str, str]) -> str:
    def stop(request: Any, **_: object) -> None:
        raise Sent(request.url)

    found.meta.events.register("before-send", stop)
    with pytest.raises(Sent) as sent:
        getattr(found, operation)(**arguments)
    return str(sent.value)


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


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "list_tables", {}),
        ("s3", "list_objects_v2", {"Bucket": "bucket-of-weir", "Prefix": "archive/"}),
        ("sqs", "send_message", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/q", "MessageBody": "m"}),
    ],
)
def test_a_call_is_sent_to_the_same_address(
    trimmed: Path, service: str, operation: str, arguments: dict[str, str]
) -> None:
    found, wanted = (sent_to(client(data, service, "us-east-1"), operation, arguments) for data in (trimmed, WHOLE))
    assert found == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_it_offers_the_same_operations_with_the_same_members(trimmed: Path, service: str) -> None:
    def members(data: Path) -> dict[str, list[str]]:
        model = client(data, service, REGIONS[0]).meta.service_model
        shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
        return {name: sorted(shape.members) if shape is not None else [] for name, shape in shapes.items()}

    assert members(trimmed) == members(WHOLE)


def test_most_of_it_is_gone(trimmed: Path) -> None:
    def size(data: Path) -> int:
        return (data / "endpoints.json").stat().st_size

    assert size(trimmed) < size(WHOLE) / 10
    assert "documentation" not in (trimmed / "dynamodb/2012-08-10/service-2.json").read_text(encoding="utf-8")
