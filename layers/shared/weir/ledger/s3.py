"""Blobs as objects of one S3 bucket."""

from typing import Any

from weir.ledger import aws

_CONNECTIONS = 10


class S3BlobStore:
    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        with aws.refused_as("The payload cannot be written."):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/gzip")

    def get(self, key: str) -> bytes | None:
        with aws.refused_as("The payload cannot be read."):
            try:
                content: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:  # S3 says so only to who may list; to others it is a refusal
                return None
            return content


def open_s3(bucket: str) -> S3BlobStore:
    return S3BlobStore(aws.client("s3", connections=_CONNECTIONS), bucket)
