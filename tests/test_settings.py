"""The environment, read once."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from weir.domain.retention import FOR_EVER, Days, Retention
from weir.runtime.bootstrap import bootstrap
from weir.runtime.settings import Settings, SettingsInvalid


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environ({}) == Settings()
    assert (Settings().engine, Settings().port, Settings().data_dir) == ("sqlite", 8787, Path(".weir"))


def test_every_variable_counts() -> None:
    assert Settings.from_environ(
        {
            "WEIR_API_KEY": "canary-1",
            "WEIR_ENGINE": "dynamodb",
            "WEIR_DATA_DIR": "elsewhere",
            "WEIR_TABLE": "t",
            "WEIR_BUCKET": "b",
            "WEIR_SHARDS": "4",
            "WEIR_INDEXES": "intent, session",
            "PORT": "0",
            "WEIR_TRANSPORT": "aiohttp",
            "WEIR_CONNECT_TIMEOUT_S": "1.5",
            "WEIR_READ_TIMEOUT_S": "60",
            "WEIR_BODY_LIMIT": "1000",
            "WEIR_LOG_LEVEL": "DEBUG",
            "WEIR_SERVICE": "s",
            "WEIR_PROVIDERS": '{"GROQ_API_KEY": "canary-groq-key"}',
            "SOMETHING_ELSE": "x",
        }
    ) == Settings(
        api_key="canary-1",
        engine="dynamodb",
        data_dir=Path("elsewhere"),
        table="t",
        bucket="b",
        shards=4,
        indexes=frozenset(("session", "intent")),
        port=0,
        transport="aiohttp",
        connect_timeout_s=1.5,
        read_timeout_s=60,
        body_limit=1000,
        log_level="DEBUG",
        service="s",
        providers={"GROQ_API_KEY": "canary-groq-key"},
    )


def test_an_empty_variable_is_unset() -> None:
    assert Settings.from_environ({"WEIR_API_KEY": "", "PORT": "", "WEIR_ENGINE": ""}) == Settings()


def test_a_ledger_may_go_without_indexes() -> None:
    assert Settings.from_environ({"WEIR_INDEXES": "none"}).indexes == frozenset()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("WEIR_ENGINE", "postgres"),
        ("WEIR_SHARDS", "0"),
        ("WEIR_INDEXES", "session,users"),
        ("WEIR_TRANSPORT", "curl"),
        ("WEIR_READ_TIMEOUT_S", "0"),
        ("WEIR_CONNECT_TIMEOUT_S", "soon"),
        ("WEIR_BODY_LIMIT", "-1"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"^{variable}: "):
        Settings.from_environ({variable: value})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_how_long_what_is_kept_stays() -> None:
    environ = {
        "WEIR_PAYLOAD_DAYS": "30",
        "WEIR_RECORD_DAYS": "0",
        "WEIR_WORKSPACE_DAYS": '{"team-b": {"payloads": 7, "archive": 0}}',
    }
    expected = Retention(Days(payloads=30), {"team-b": Days(payloads=7)})
    assert Settings.from_environ(environ).retention == expected
    assert Settings.from_environ({}).retention == FOR_EVER


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WEIR_PAYLOAD_DAYS", "-1"),
        ("WEIR_ARCHIVE_DAYS", "a year"),
        ("WEIR_WORKSPACE_DAYS", "team-b=7"),
        ("WEIR_WORKSPACE_DAYS", '{"team-b": {"payload": 7}}'),
        ("WEIR_WORKSPACE_DAYS", '{"team-b": 7}'),
    ],
)
def test_a_time_that_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=variable):
        Settings.from_environ({variable: value})


@pytest.mark.parametrize(
    "value", ["canary-groq-key", '{"GROQ_API_KEY": {"key": "canary-groq-key"}}', '["canary-groq-key"]']
)
def test_a_secret_that_cannot_be_read_is_not_told(value: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^WEIR_PROVIDERS: ") as refused:
        Settings.from_environ({"WEIR_PROVIDERS": value})
    assert "canary" not in str(refused.value)


def test_a_variable_of_its_own_goes_before_the_same_in_the_secret(tmp_path: Path) -> None:
    environ = {
        "WEIR_API_KEY": "canary-key-of-the-settings",
        "WEIR_DATA_DIR": str(tmp_path),
        "OPENAI_API_KEY": "canary-own-openai-key",
        "WEIR_PROVIDERS": '{"OPENAI_API_KEY": "canary-openai-key", "GROQ_API_KEY": "canary-groq-key"}',
    }
    runtime = bootstrap(environ)
    runtime.ledger.close()

    assert runtime.environ == {**environ, "GROQ_API_KEY": "canary-groq-key"}
    assert runtime.secrets == {"canary-key-of-the-settings", "canary-own-openai-key", "canary-groq-key"}
