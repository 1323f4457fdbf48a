"""Images, documents, videos and sounds as Converse's content blocks, which hold the bytes or an address in S3.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

import re
from collections.abc import Mapping
from typing import Any

from weir.domain.chat import Media
from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.protocols.base import Unsupported

_IMAGE = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"}
_VIDEO = {
    **{name: name for name in ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")},
    "x-matroska": "mkv",
    "quicktime": "mov",
    "x-flv": "flv",
    "x-ms-wmv": "wmv",
    "3gpp": "three_gp",
    "3gp": "three_gp",
}
_AUDIO = {
    **{
        name: name
        for name in (
            *("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga"),
            *("pcm", "webm"),
        )
    },
    "x-wav": "wav",
    "wave": "wav",
    "x-m4a": "m4a",
}
_DOCUMENT = {
    **{name: name for name in ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")},
    "plain": "txt",
    "markdown": "md",
    "msword": "doc",
    "vnd.ms-excel": "xls",
    "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_FORMATS: Mapping[str, Mapping[str, str]] = {"image": _IMAGE, "video": _VIDEO, "audio": _AUDIO, "file": _DOCUMENT}
"""Kind -> second half of a media type, or a file's ending -> Converse's word."""

_NAME_BREAKS = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_NAME_LENGTH = 180  # the API takes 200; the rest is for the number that keeps names apart


class DocumentNames:
    """Names that Converse accepts, each once in a request: letters, digits, single spaces, hyphens and brackets.

    Whatever else stands in a file's name becomes a space and its ending goes, so the same file has the same name every
    time (a cached prompt stays cached); a repeated name gets a number.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, file_name: str | None) -> str:
        stem = (file_name or "").rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        base = _NAME_BREAKS.sub(" ", stem).strip()[:_NAME_LENGTH].strip() or "document"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base} {number}"
        self._taken.add(name)
        return name


def render_media(media: Media, where: str, names: DocumentNames, unsupported: Unsupported) -> dict[str, Any]:
    """Raises RequestInvalid, naming the place, for what Converse cannot take or would have to fetch."""
    inner = media.extra.get("inner", NOTHING)
    source = _source(media, inner, where)
    block: dict[str, Any] = {"format": _format(media, inner, where), "source": source}
    if media.kind != "file":
        if inner.get("detail") not in (None, "auto"):
            unsupported.drop(f"{where}.detail")
        return {media.kind: block}
    block["name"] = names.name(media.name or (media.url if "s3Location" in source else None))
    for field in ("citations", "context"):
        if field in inner:
            block[field] = inner[field]
    return {"document": block}


def _source(media: Media, inner: Mapping[str, Any], where: str) -> dict[str, Any]:
    if media.content is not None:
        return {"bytes": media.content}
    if media.url is None:
        raise RequestInvalid(
            f"Bedrock keeps no uploads: at {where} send the content itself, as a data: URL, or an s3:// address.",
            param=where,
            code="unsupported_content",
        )
    if not media.url.startswith("s3://"):
        raise RequestInvalid(
            f"Bedrock fetches nothing from the web: at {where} send the content itself, as a data: URL, or an s3:// "
            "address.",
            param=where,
            code="unsupported_content",
        )
    location = {"uri": media.url}
    if isinstance(owner := inner.get("bucketOwner"), str):
        location["bucketOwner"] = owner
    return {"s3Location": location}


def _format(media: Media, inner: Mapping[str, Any], where: str) -> str:
    words = _FORMATS[media.kind]
    named = (inner.get("format"), (media.media_type or "").partition("/")[2])
    endings = ((media.name or "").rpartition(".")[2], (media.url or "").rpartition(".")[2])
    for word in (*named, *endings):
        if isinstance(word, str) and (found := words.get(word.lower())) is not None:
            return found
    raise RequestInvalid(
        f"Bedrock cannot tell the format of the {media.kind} at {where}, or does not take it"
        f"{f' ({media.media_type})' if media.media_type else ''}; it takes {', '.join(sorted(set(words.values())))}.",
        param=where,
        code="unsupported_content",
    )
