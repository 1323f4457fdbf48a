"""`weir config`, as a person runs it, on SQLite and on DynamoDB; and the file that it writes and reads."""

import asyncio
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weir import cli
from weir.cli.config_file import ConfigFileInvalid, from_toml, to_toml
from weir.domain.configuration import WORKSPACE_LEVEL, Level, Values
from weir.http.maitai_config import ConfigBody, to_changes
from weir.http.scrub import ERASED, find_secrets, scrubbed
from weir.http.validation import validated
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import open_configure
from weir.runtime.settings import Settings
from weir.services.configure import Configure, Editor

SHOP = """\
[workspace]
model = "openai/gpt-5-mini"
stop = [
    "a",
    "b",
]
temperature = 0.5

[workspace.fallback_config]
model = "demo/echo"
strategy = "reactive"

[applications.shop]
n = 2
system_prompt = \"\"\"
You sell shoes.
Be brief.
\"\"\"

[applications.shop.intents."A.B"]
max_tokens = 5

[intent_groups.CHAT]
seed = 7
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(
    ledger_of_commands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """`weir config …` in this process, on an empty ledger; `said` is what a person at a terminal types."""
    monkeypatch.setenv("WEIR_API_KEY", "canary-key-of-the-process")
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: str, said: str | None = None, piped: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["weir", "config", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(piped) if said is None else Terminal(said))
        return Ran(cli.main(), *capsys.readouterr())

    return ran


def opened() -> Configure:
    return open_configure(Settings.from_environ(os.environ))


def test_a_file_is_applied_and_exported_as_it_was(run: Run) -> None:
    Path("weir.toml").write_text(SHOP, encoding="utf-8")
    applied = run("apply", "weir.toml", "--yes")
    assert (applied.code, applied.err) == (0, "")
    assert applied.out == (
        "[workspace]\n"
        '  + fallback_config = {"model": "demo/echo", "strategy": "reactive"}\n'
        '  + model = "openai/gpt-5-mini"\n'
        '  + stop = ["a", "b"]\n'
        "  + temperature = 0.5\n"
        "[applications.shop]\n"
        "  + n = 2\n"
        '  + system_prompt = "You sell shoes.\\nBe brief.\\n"\n'
        '[applications.shop.intents."A.B"]\n'
        "  + max_tokens = 5\n"
        "[intent_groups.CHAT]\n"
        "  + seed = 7\n"
        "Version 1 holds. Servers know within ten seconds.\n"
    )
    assert run("export") == (0, SHOP, "")
    assert run("export", "again.toml") == (0, "", "again.toml: version 1 of default\n")
    assert Path("again.toml").read_text(encoding="utf-8") == SHOP
    assert run("apply", "again.toml") == (0, "There is nothing to change.\n", "")
    assert run("export", "--tenant", "other") == (0, "", "")


def test_what_the_file_does_not_name_is_taken_away(run: Run) -> None:
    run("apply", "-", "--yes", piped=SHOP)
    text = SHOP.replace("Be brief.", "Be nice.").replace("max_tokens = 5", "").replace("n = 2\n", "")
    assert run("apply", "-", "--yes", piped=text).out == (
        "[applications.shop]\n"
        "  - n = 2\n"
        "  system_prompt:\n"
        "    @@ -1,3 +1,3 @@\n"
        "     You sell shoes.\n"
        "    -Be brief.\n"
        "    +Be nice.\n"
        "     \n"
        '[applications.shop.intents."A.B"]\n'
        "  - max_tokens = 5\n"
        "Version 2 holds. Servers know within ten seconds.\n"
    )
    assert run("apply", "-", "--yes", piped="").out.endswith("Version 3 holds. Servers know within ten seconds.\n")
    assert run("export").out == ""


@pytest.mark.parametrize("run", ["sqlite"], indirect=True)
def test_a_person_is_asked_and_nobody_else_is(run: Run) -> None:
    Path("weir.toml").write_text(SHOP, encoding="utf-8")
    for said in ("n\n", "\n", ""):
        refused = run("apply", "weir.toml", said=said)
        assert (refused.code, refused.err) == (2, "Nothing was changed.\n")
        assert refused.out.endswith("Apply this? [y/N] ")
    for arguments in (("apply", "weir.toml"), ("apply", "-")):
        assert run(*arguments, piped=SHOP)[::2] == (2, "weir: nobody is there to be asked; --yes will apply it.\n")
    assert run("apply", "weir.toml", "--dry-run").code == 0
    assert run("log") == (0, "Nothing was ever set.\n", "")
    assert run("apply", "weir.toml", said="y\n").out.endswith("Version 1 holds. Servers know within ten seconds.\n")
    assert run("apply", "weir.toml", "--dry-run") == (0, "There is nothing to change.\n", "")
    assert run("rollback", "0", "--dry-run").out.startswith("[workspace]\n  - fallback_config = ")
    assert run("rollback", "0", said="no\n")[::2] == (2, "Nothing was changed.\n")
    assert run("rollback", "0", said="yes\n").code == 0
    assert run("export").out == ""


@pytest.mark.parametrize("run", ["sqlite"], indirect=True)
def test_what_was_edited_while_a_person_thought_is_not_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: str) -> str:
        asyncio.run(opened().edit("default", WORKSPACE_LEVEL, {"n": 9}, Editor("operator")))
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    Path("weir.toml").write_text(SHOP, encoding="utf-8")
    refused = run("apply", "weir.toml", said="")
    assert (refused.code, refused.err) == (1, "weir: The configuration is at version 1, no longer at 0.\n")
    assert run("export").out == "[workspace]\nn = 9\n"


def test_versions_are_listed_shown_and_gone_back_to(run: Run) -> None:
    run("apply", "-", "--yes", piped="[workspace]\nn = 1\n")
    asyncio.run(opened().edit("default", WORKSPACE_LEVEL, {"n": 2, "seed": 3}, Editor("0k3j9x2m4p7q")))
    said = run("rollback", "1", "--yes")
    assert said.out == (
        "[workspace]\n  - n = 2\n  + n = 1\n  - seed = 3\nVersion 3 holds. Servers know within ten seconds.\n"
    )
    lines = run("log").out.splitlines()
    assert [" ".join(line.split()[:1] + line.split()[3:]) for line in lines] == [
        "3 operator back to version 1 workspace (n, seed)",
        "2 weir_0k3j9x2m4p7q workspace (n, seed)",
        "1 operator applied standard input workspace (n)",
    ]
    assert run("log", "--limit", "1").out.splitlines() == lines[:1]
    assert run("show", "2").out == f"{lines[1]}\n[workspace]\n  - n = 1\n  + n = 2\n  + seed = 3\n"
    assert run("show").out.splitlines()[0] == lines[0]
    told = json.loads(run("log", "--json").out)
    assert [version["version"] for version in told] == [3, 2, 1]
    assert json.loads(run("show", "2", "--json").out) == told[1]
    assert told[1]["changes"] == [{"level": "workspace", "before": {"n": 1}, "after": {"n": 2, "seed": 3}}]
    assert run("rollback", "3") == (0, "There is nothing to change.\n", "")
    for arguments in (("show", "4"), ("show", "0"), ("rollback", "4")):
        refused = run(*arguments)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith("weir: There is no version ")
    assert run("show", "--tenant", "other")[::2] == (1, "weir: Nothing was ever set.\n")


@pytest.mark.parametrize("run", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_read_is_named(run: Run) -> None:
    assert run("apply", "none.toml")[::2] == (1, "weir: none.toml cannot be read: No such file or directory.\n")
    Path("latin.toml").write_bytes(b"\xff")
    assert run("apply", "latin.toml")[::2] == (1, "weir: latin.toml is not UTF-8.\n")
    assert run("export", "none/at/all.toml").err.startswith("weir: none/at/all.toml cannot be written")


@pytest.mark.parametrize("run", ["sqlite"], indirect=True)
def test_a_key_in_a_file_is_refused_and_never_shown(run: Run) -> None:
    for text in (
        '[workspace.metadata]\napi_key = "canary-in-a-file"\nother = "canary-in-a-file"\n',
        '[workspace]\nsystem_prompt = "Say canary-key-of-the-process."\n',
        '[applications."canary-key-of-the-process"]\nn = 1\n',
        '[workspace.extra_body.headers]\nx = "canary-in-a-file"\n',
    ):
        refused = run("apply", "-", "--yes", piped=text)
        assert refused.code == 1
        assert "holds a key" in refused.err
        assert "in-a-file" not in refused.err + refused.out
    assert run("log").out == "Nothing was ever set.\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[workspace]\nmodel = \n", "f.toml: Invalid value (at line 2, column 9)"),
        ("n = 1\n", "f.toml:1: n: is nothing that a configuration has; "),
        ("\n\n[workspace]\n\n# c\nn = 0\n", "f.toml:6: workspace.n: 'n' must be at least 1."),
        ('[workspace]\nstop = [\n  "a",\n\n  1,\n]\nn = 1\n', "f.toml:2: workspace.stop: 'stop[1]' must be a text."),
        ('[workspace]\nsystem_prompt = """\nn = 0\n"""\nn = 0', "f.toml:5: workspace.n: 'n' must be at least 1."),
        (
            "[applications.a]\n[applications.a.intents.b]\n\ntemprature = 1",
            "f.toml:4: applications.a.intents.b.temprature",
        ),
        ("applications.a.n = 0\napplications.b.n = 1", "f.toml:1: applications.a.n: 'n' must be at least 1."),
        ("[applications]\n[applications.a]\nintents = 3", "f.toml:3: applications.a.intents: must be a table"),
        ('[applications."a.b"]\nn = "x"', "f.toml:2: applications.\"a.b\".n: 'n' must be a whole number."),
        ("[intent_groups]\n\n'' = {}", 'f.toml:3: intent_groups."": a name has 1 to 256 characters'),
        ("[intent_groups.a]\nn = 1\n[applications]\na = 1", "f.toml:4: applications.a: must be a table"),
        ("intent_groups = 1", "f.toml:1: intent_groups: must be a table"),
        ("[workspace]\nextra_body = { a = 12:30:00 }", "f.toml:2: workspace.extra_body.a: is a date or a time"),
        ("[workspace]\ntemperature = nan", "f.toml:2: workspace.temperature: is no finite number"),
        ("[workspace.extra_body]\na = 1\ntemperature = 1", "f.toml:3: workspace.extra_body.temperature: "),
        ("[workspace]\nn = " + "9" * 5_000, "f.toml: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigFileInvalid) as refused:
        from_toml(text, "f.toml", ())
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigFileInvalid) as refused:
        from_toml("[workspace]\nn = 0\n[applications.a]\nn = 1\n[intent_groups.b]\nn = 0\n", "f", ())
    assert [line[:3] for line in str(refused.value).splitlines()] == ["f:2", "f:6"]


JSON_VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONFIGS: Mapping[str, st.SearchStrategy[Any]] = {
    "model": st.text(min_size=1, max_size=256),
    "temperature": st.floats(0, 2),
    "n": st.integers(1, 128),
    "stop": st.text() | st.lists(st.text()),
    "system_prompt": st.text(alphabet=st.sampled_from("a\"\\\n\r\t\x00\x7f\u2028ä😀[]=#'")),
    "streaming": st.booleans(),
    "logit_bias": st.dictionaries(st.text(), st.floats(-100, 100)),
    "metadata": st.dictionaries(st.text(max_size=20), JSON_VALUES, max_size=3),
    "extra_body": st.dictionaries(st.text(max_size=20).map(lambda name: f"x{name}"), JSON_VALUES, max_size=3),
    "tools": st.lists(st.fixed_dictionaries({"type": st.just("own"), "list": st.lists(JSON_VALUES)}), max_size=2),
    "fallback_config": st.fixed_dictionaries({}, optional={"model": st.text(max_size=9), "timeout": st.floats(0, 9)}),
}


def _keyless(config: Mapping[str, Any]) -> bool:
    """Hypothesis tries constants of the code it tests: `credential` as a name, which no configuration may have."""
    return ERASED.encode() not in scrubbed(jsonbytes.dumps(config), config, find_secrets(config))


KEYLESS = st.fixed_dictionaries({}, optional=CONFIGS).filter(_keyless)

NAMES = st.text(min_size=1, max_size=256)
LEVELS = st.builds(Level, st.none() | NAMES, st.none() | NAMES)


@settings(max_examples=150)
@given(st.dictionaries(LEVELS, KEYLESS, max_size=4))
def test_what_is_exported_is_applied_without_a_change(values: Values) -> None:
    kept = {level: dict(to_changes(validated(ConfigBody, config))) for level, config in values.items() if config}
    text = to_toml(kept)
    again = from_toml(text, "f", ())
    assert again == kept
    assert to_toml(again) == text  # which tells 1 from 1.0 and true
