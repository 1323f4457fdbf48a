"""Write docs/providers.md from the catalogue, the dialects and what the protocols render: `make docs`."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.provider_efforts import effort_tables
from infra.provider_quirks import PHRASES, format_names
from weir.providers.catalog import CATALOG, DEMO, Provider, own_provider
from weir.providers.features import PROBES, Format, formats
from weir.providers.variables import variables_of

TARGET = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

OWN = own_provider("own", "https://own.example")
"""What a provider that is named in the environment is made of."""

ENVIRON = {"VERTEX_PROJECT": "project"}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Content and streaming": (
        "streaming",
        "images by URL",
        "images by data",
        "files by URL",
        "files by data",
        "audio",
        "video by URL",
        "video by data",
    ),
    "Tools, formats and reasoning": (
        "tools",
        "strict tools",
        "tool_choice required",
        "tool_choice named",
        "tool_choice none",
        "parallel_tool_calls false",
        "json_object",
        "json_schema",
        "reasoning effort",
    ),
    "Sampling and the rest": (
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "user",
        "metadata",
        "service_tier flex",
    ),
}
"""Every feature once, in tables that fit on a page."""

MARKS = {"sent": "yes", "refused": "–", "kept here": "(here)"}

OPENING = """# Providers

This page is written by `make docs` from the code that makes the calls; do not edit it. `weir doctor` shows the same
of one installation, with the addresses and the variables that count there.

## Naming a model

- `provider/model` is the usual form: `openai/gpt-4o`, `groq/openai/gpt-oss-120b`. Everything after the first slash is
  the provider's own name for the model.
- `provider/format/model` asks in another of the provider's formats: `openai/responses/gpt-5` uses the Responses API.
- A bare name works where its beginning tells whose it is:
{bare}- `demo/echo` answers offline, without a key.

A name that means nothing here is a 400 with the nearest names that do. `GET /v1/models` lists what the providers with
a key offer, for those that have such a list.

## Keys and addresses

A key comes from the environment of Weir or with the call (`auth_keys.<provider>_api_key` in the body), and the call's
own comes first. "Base URL" means what it means in the vendor's own SDK; the variable replaces it.

{addresses}
"""

OWN_TEXT = """### Your own

Every other pair of `<NAME>_BASE_URL` and `<NAME>_API_KEY` is a provider named `<name>` (small letters, `-` for `_`):
with `LM_STUDIO_BASE_URL=http://127.0.0.1:1234/v1` and `LM_STUDIO_API_KEY=anything`, models are called
`lm-studio/<model>`. It is spoken to in OpenAI's format, at `<base URL>/chat/completions`, and as
`lm-studio/responses/<model>` at `<base URL>/responses`. Both variables are needed; write any word for a key that the
server does not check. A few servers are known by their names, `llamacpp` or `vercel-gateway` among them, and spoken to
as they want it.
"""

FEATURES_TEXT = """## What each format can express

Found by rendering a small call for each. "yes": the provider is sent it; whether the model behind honours it is the
vendor's to say. "–": the format has no place for it, and the call is a 400 that names it; a parameter, but no
content, is left out instead if the call says `drop_unsupported: true`. "(here)": the call goes through, and the
provider is not told; `metadata` are then the tags of Weir's record only. `own` stands for the providers of your
environment.
"""

QUIRKS_TEXT = """## How vendors depart from their format

A format that is not listed is spoken to the letter.
"""

EFFORT_TEXT = """## Reasoning effort

`reasoning_effort` (or `reasoning: {"effort": …}`) takes OpenAI's words. What each model is sent is below; "–" is a
400, and "nothing" means that the call needs no parameter for it. Names are beginnings; the first that fits counts on
Gemini and Bedrock.
"""


def page() -> str:
    told = [each for provider in (*CATALOG, OWN) if provider != DEMO for each in formats(provider, ENVIRON)]
    sections = [
        OPENING.format(bare="".join(_bare_names()), addresses=_addresses()),
        *(_others(provider) for provider in CATALOG if variables_of(provider).others),
        OWN_TEXT,
        FEATURES_TEXT,
        *(f"### {title}\n\n{_features(told, names)}" for title, names in GROUPS.items()),
        _models_asked(told),
        QUIRKS_TEXT,
        _quirks(told),
        EFFORT_TEXT,
        *(f"### {title}\n\n{table(*rows)}" for title, rows in effort_tables(ENVIRON)),
    ]
    return "\n".join(section.rstrip() + "\n" for section in sections)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _bare_names() -> Iterator[str]:
    for provider in CATALOG:
        if provider.bare:
            yield f"  - {', '.join(f'`{start}…`' for start in provider.bare)} at {provider.name}\n"


def _addresses() -> str:
    rows = []
    for provider in (each for each in CATALOG if each != DEMO):
        variables = variables_of(provider)
        keys = " or ".join(" and ".join(f"`{name}`" for name in names) for names in variables.keys)
        rows.append(
            (
                f"`{provider.name}`",
                "yours" if provider.base_url.endswith(".invalid") else f"`{provider.base_url}`",
                " or ".join(f"`{name}`" for name in variables.addresses),
                keys + (" (not needed)" if provider.keyless else ""),
                ", ".join(f"`{api}`" for api in provider.apis if api),
            )
        )
    return table(("provider", "base URL", "variable of the address", "variable of the key", "other formats"), rows)


def _others(provider: Provider) -> str:
    lines = "".join(f"- `{name}`: {meaning}.\n" for name, meaning in variables_of(provider).others)
    families = "".join(
        f"- Models named `{start}…` are asked in the format `{api}` without naming it.\n"
        for start, api in provider.families.items()
    )
    return f"### Also for {provider.name}\n\n{lines}{families}"


def _features(told: Sequence[Format], names: Sequence[str]) -> str:
    """One row for all formats with the same answers."""
    alike: dict[tuple[str, ...], list[Format]] = {}
    for each in told:
        alike.setdefault(tuple(MARKS[each.features[name]] for name in names), []).append(each)
    return table(("format", *names), [(format_names(formats), *marks) for marks, formats in alike.items()])


def _models_asked(told: Sequence[Format]) -> str:
    asked = ", ".join(f"{format_names([each])}: `{each.model}`" for each in told if each.model is not None)
    return f"Where the answer depends on the model, this one was asked for: {asked}.\n"


def _quirks(told: Sequence[Format]) -> str:
    """One line for all formats with the same departures; nothing for those that have none."""
    alike: dict[tuple[str, ...], list[Format]] = {}
    for each in told:
        alike.setdefault(tuple(departures(each.protocol)), []).append(each)
    return "".join(f"- {format_names(names)}: {'; '.join(said)}.\n" for said, names in alike.items() if said)


def departures(protocol: Any) -> Iterator[str]:
    """Every field of the protocol's dialect that differs from the plain one, in words. KeyError for a new field."""
    phrases: Mapping[str, Callable[[Any], str]] = PHRASES[type(protocol.dialect)]
    for field in dataclasses.fields(protocol.dialect):
        value = getattr(protocol.dialect, field.name)
        if value != field.default and (said := phrases[field.name](value)):
            yield said


def missing_features() -> set[str]:
    """Features that no table shows, or that are not asked for any more."""
    return set(PROBES) ^ {name for names in GROUPS.values() for name in names}


def main(target: Path) -> None:
    target.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
