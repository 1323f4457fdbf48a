"""Blobs as objects of one S3 bucket."""

import time
from collections.abc import Iterator
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.ledger import aws

_CONNECTIONS = 10
_PAUSES_S = (0.0, 0.1, 0.3)
"""Before each attempt at a conditional put that S3 answers with 409: another one is under way at the same key."""


class S3BlobStore:
    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        with aws.refused_as("The payload cannot be written."):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/gzip")

    def put_new(self, key: str, content: bytes) -> bool:
        from botocore.exceptions import ClientError

        with aws.refused_as("The payload cannot be written."):
            for pause in _PAUSES_S:
                time.sleep(pause)
                try:
                    self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=content, ContentType="application/gzip", IfNoneMatch="*"
                    )
                except ClientError as exc:
                    status = exc.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status == 412:
                        return False
                    if status != 409:
                        raise
                else:
                    return True
        raise LedgerUnavailable("Too many write the same payload at once.")

    def get(self, key: str) -> bytes | None:
        return self._read(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        from botocore.exceptions import ClientError

        try:
            return self._read(key, Range=f"bytes={start}-{start + length - 1}")
        except LedgerUnavailable as exc:
            cause = exc.__cause__
            if isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "InvalidRange":
                return b""  # it begins behind the end
            raise

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        return (key for key, _ in self.stamps(prefix, after))

    def stamps(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, str]]:
        """As `list`, with a text for each that is another one when its content is."""
        query: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        if after:
            query["StartAfter"] = after
        while True:
            with aws.refused_as("The payloads cannot be listed."):
                page = self._client.list_objects_v2(**query)
            for item in page.get("Contents", ()):
                yield item["Key"], item["ETag"]
            if not page["IsTruncated"]:
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        with aws.refused_as("The payload cannot be deleted."):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _read(self, key: str, **bounds: str) -> bytes | None:
        with aws.refused_as("The payload cannot be read."):
            try:
                content: bytes = self._client.get_object(Bucket=self._bucket, Key=key, **bounds)["Body"].read()
            except self._client.exceptions.NoSuchKey:  # S3 says so only to who may list; to others it is a refusal
                return None
            return content


def open_s3(bucket: str) -> S3BlobStore:
    return S3BlobStore(aws.LateClient("s3", connections=_CONNECTIONS), bucket)
