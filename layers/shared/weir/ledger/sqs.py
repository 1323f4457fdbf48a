"""Dead letters in an SQS queue. A message holds no text of a record: its key and the reason."""

from collections.abc import Iterator, Sequence
from typing import Any

from weir.ledger import aws
from weir.ledger.changes import DeadLetter
from weir.protocols import jsonbytes

_AT_ONCE = 10
"""What one receive gives at most."""


class SQSDeadLetters:
    """`client` is botocore's low-level client of SQS."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, workspace: str, id: str, reason: str, sequence_number: str) -> None:
        """Durable when it returns. The same one may be put twice. Raises LedgerUnavailable."""
        letter = {"workspace": workspace, "id": id, "reason": reason, "sequence_number": sequence_number}
        with aws.refused_as("The dead letter cannot be written."):
            self._client.send_message(QueueUrl=self._url, MessageBody=jsonbytes.dumps(letter).decode())

    def count(self) -> int:
        """Approximately, as SQS does."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with aws.refused_as("The dead letters cannot be read."):
            found = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def read(self, limit: int) -> Sequence[DeadLetter]:
        """Nobody else is shown them for the queue's visibility timeout."""
        found: list[DeadLetter] = []
        with aws.refused_as("The dead letters cannot be read."):
            for messages in self._received():
                found += [_to_letter(message) for message in messages]
                if len(found) >= limit:
                    break
        return found

    def remove(self, letter: DeadLetter) -> None:
        with aws.refused_as("The dead letter cannot be removed."):
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=letter.token)

    def _received(self) -> Iterator[Sequence[Any]]:
        while messages := self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=_AT_ONCE).get(
            "Messages"
        ):
            yield messages


def open_sqs(url: str) -> SQSDeadLetters:
    return SQSDeadLetters(aws.client("sqs", connections=1), url)


def _to_letter(message: Any) -> DeadLetter:
    """What Lambda itself puts there, when a batch has failed too often, names no record."""
    try:
        body = jsonbytes.loads(message["Body"])
        return DeadLetter(message["ReceiptHandle"], body["workspace"], body["id"], body["reason"])
    except (ValueError, KeyError, TypeError):
        return DeadLetter(message["ReceiptHandle"], "", "", "Lambda gave a batch up; the next check finds its records.")
