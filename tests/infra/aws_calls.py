"""What botocore's clients are asked to do, as the actions and resources that IAM is asked about."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import botocore.session
import pytest

from weir.providers.sigv4 import sign

TABLE = "arn:aws:dynamodb:::table/"
BUCKET = "arn:aws:s3:::"
QUEUE = "arn:aws:sqs:::"
PARAMETER = "arn:aws:ssm:::parameter"
MODEL = "arn:aws:bedrock:::foundation-model/"


class Need(NamedTuple):
    """That a function may do `action` with `resource`, an ARN without region and account."""

    function: str
    action: str
    resource: str


@dataclass(slots=True)
class Recording:
    """What was called for while a function ran, in all threads."""

    needs: set[Need] = field(default_factory=set)
    operations: Counter[str] = field(default_factory=Counter)
    _function: str | None = None

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        self._function = function
        try:
            yield
        finally:
            self._function = None

    def asked(self, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)
        if self._function is not None:
            self.operations[model.name] += 1
            for action, resource in needed(model.service_model.service_name, model.name, params):
                self.needs.add(Need(self._function, action, resource))

    def answered(self, http_response: Any, model: Any, context: Mapping[str, Any], **_: Any) -> None:
        """S3 says that something is not there only to who may list; to others it is a refusal."""
        if self._function is not None and model.name == "GetObject" and http_response.status_code == 404:
            self.needs.add(Need(self._function, "s3:ListBucket", BUCKET + context["asked"]["Bucket"]))

    def signed(self, method: str, url: str) -> None:
        """What is asked without botocore."""
        if self._function is not None:
            self.needs.add(Need(self._function, *needed_of_bedrock(method, urlsplit(url).path)))


def needed_of_bedrock(method: str, path: str) -> tuple[str, str]:
    """Converse needs the same as InvokeModel. Raises LookupError for what nobody has said this of.

    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-prereq.html
    """
    start, model, operation = path.removeprefix("/").split("/")
    match method, start, operation:
        case "POST", "model", "invoke" | "converse":
            return "bedrock:InvokeModel", MODEL + unquote(model)
        case "POST", "model", "invoke-with-response-stream" | "converse-stream":
            return "bedrock:InvokeModelWithResponseStream", MODEL + unquote(model)
        case _:
            raise LookupError(f"no rule says which action {method} {path} needs")


def needed(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Raises LookupError for an operation that nobody has said this of."""
    match service, operation:
        case "dynamodb", "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem":
            yield f"dynamodb:{operation}", TABLE + params["TableName"]
        case "dynamodb", "Query":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield "dynamodb:Query", f"{TABLE}{params['TableName']}{index}"
        case "dynamodb", "BatchGetItem":
            for table in params["RequestItems"]:
                yield "dynamodb:BatchGetItem", TABLE + table
        case "dynamodb", "TransactWriteItems":  # DynamoDB asks about each of the items
            for item in params["TransactItems"]:
                ((kind, wanted),) = item.items()
                action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield f"dynamodb:{action}", TABLE + wanted["TableName"]
        case "s3", "GetObject" | "PutObject" | "DeleteObject":
            yield f"s3:{operation}", f"{BUCKET}{params['Bucket']}/{params['Key']}"
        case "s3", "ListObjectsV2":
            yield "s3:ListBucket", BUCKET + params["Bucket"]
        case "ssm", "GetParameter":
            yield "ssm:GetParameter", PARAMETER + params["Name"]
        case "secretsmanager", "GetSecretValue":
            yield "secretsmanager:GetSecretValue", params["SecretId"]
        case "sqs", "SendMessage":
            yield "sqs:SendMessage", QUEUE + params["QueueUrl"].rpartition("/")[2]
        case _:
            raise LookupError(f"no rule says which action {service} {operation} needs")


@contextmanager
def recorded() -> Iterator[Recording]:
    """Of every client that is made inside, and of what is signed there."""
    recording = Recording()
    made = botocore.session.get_session

    def session(*arguments: Any, **named: Any) -> Any:
        watched = made(*arguments, **named)
        watched.register("before-parameter-build", recording.asked)
        watched.register("after-call", recording.answered)
        return watched

    def signed(method: str, url: str, *arguments: Any, **named: Any) -> dict[str, str]:
        recording.signed(method, url)
        return sign(method, url, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "get_session", session)
        patch.setattr("weir.providers.aws_access.sign", signed)
        yield recording
