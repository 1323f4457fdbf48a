"""A doctor's report for a terminal."""

import textwrap
from collections.abc import Iterator

from weir.providers.features import Format
from weir.runtime.doctor import Reach, Report, called

_NARROWEST = 60


def to_text(report: Report, width: int) -> str:
    width = max(width, _NARROWEST)
    last = "Nothing is wrong." if report.well else "Something is wrong: see above."
    return "\n".join(
        [
            "Settings",
            *_findings(report, width),
            "",
            "Providers (* has what a call needs)",
            *_providers(report, width),
            "",
            last,
        ]
    )


def _findings(report: Report, width: int) -> Iterator[str]:
    longest = max(len(finding.subject) for finding in report.findings)
    for finding in sorted(report.findings, key=lambda finding: finding.verdict == "wrong"):
        start = f"  {finding.verdict:<5}  {finding.subject:<{longest}}  "
        yield from _wrapped(start, finding.says, width)


def _providers(report: Report, width: int) -> Iterator[str]:
    names = max(len(each.name) for each in report.providers)
    addresses = max(len(each.base_url) for each in report.providers)
    for each in report.providers:
        mark = "*" if each.usable else " "
        yield f"  {mark} {each.name:<{names}}  {each.base_url:<{addresses}}  {each.key}"
    yield from ("", "What each format cannot express; Weir answers 400 to it")
    yield from _refusals(report.providers, width)


def _refusals(providers: tuple[Reach, ...], width: int) -> Iterator[str]:
    """Formats with the same answers share a paragraph."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in providers:
        for form in each.formats:
            alike.setdefault(_refused(form), []).append(called(form))
    for refused, names in alike.items():
        yield from _wrapped("  ", ", ".join(names), width)
        yield from _wrapped("      ", ", ".join(refused) or "nothing: all of it is passed on", width)


def _refused(form: Format) -> tuple[str, ...]:
    return tuple(name for name, answer in form.features.items() if answer == "refused")


def _wrapped(start: str, text: str, width: int) -> list[str]:
    """In lines of that width; a name of several words (", video by URL") stays on one."""
    joined = text.replace(" by ", "\u00a0by\u00a0")
    lines = textwrap.wrap(
        joined, width, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False
    )
    return [line.replace("\u00a0", " ") for line in lines]
