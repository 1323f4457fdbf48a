"""What is relied on of an S3 beyond the contract of a BlobStore: the first of several writers wins, and is told."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(params=["moto", "seaweedfs"])
def s3(request: pytest.FixtureRequest) -> Any:
    found = request.getfixturevalue(request.param)
    client = found[1] if request.param == "moto" else found
    client.create_bucket(Bucket="conditions")
    return client


def put_if_absent(s3: Any, bucket: str, key: str, content: bytes) -> str | None:
    """The error's code, if there was one."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    return None


def test_what_is_there_is_not_put_again(s3: Any) -> None:
    assert put_if_absent(s3, "conditions", "a", b"first") is None
    assert put_if_absent(s3, "conditions", "a", b"again") == "PreconditionFailed"
    assert s3.get_object(Bucket="conditions", Key="a")["Body"].read() == b"first"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="conditions", Key="a", Body=b"other", IfMatch='"0123456789abcdef0123456789abcdef"')
    etag = s3.head_object(Bucket="conditions", Key="a")["ETag"]
    s3.put_object(Bucket="conditions", Key="a", Body=b"second", IfMatch=etag)
    assert s3.get_object(Bucket="conditions", Key="a")["Body"].read() == b"second"


def test_of_many_that_put_at_once_one_wins(seaweedfs: Any) -> None:
    """moto checks and puts in two steps."""
    seaweedfs.create_bucket(Bucket="races")
    with ThreadPoolExecutor(16) as threads:
        errors = list(threads.map(lambda n: put_if_absent(seaweedfs, "races", "race", b"%d" % n), range(16)))
    (winner,) = [n for n, error in enumerate(errors) if error is None]
    assert {error for error in errors if error is not None} <= {"PreconditionFailed", "ConditionalRequestConflict"}
    assert seaweedfs.get_object(Bucket="races", Key="race")["Body"].read() == b"%d" % winner
