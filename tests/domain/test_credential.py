"""References to provider keys: how they are written, and who may name which."""

import pytest

from weir.domain.credential import Place, is_allowed, place_of

ALLOWED = (
    "ssm:/weir/",
    "secretsmanager:weir/",
    "secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:x",
    "env:TEAM_",
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssm:/weir/acme/openai", Place("ssm", "/weir/acme/openai")),
        ("secretsmanager:weir/acme", Place("secretsmanager", "weir/acme")),
        ("secretsmanager:weir/acme#openai", Place("secretsmanager", "weir/acme", "openai")),
        ("secretsmanager:arn:aws:s:r:1:secret:n-AbC#a.b", Place("secretsmanager", "arn:aws:s:r:1:secret:n-AbC", "a.b")),
        ("env:OPENAI", Place("env", "OPENAI")),
        ("ssm:/weir/acme#openai", None),
        ("ssm:", None),
        ("ssm:/with space", None),
        ("ssm:/ünicode", None),
        ("ssm:/a\n", None),
        ("secretsmanager:a#", None),
        ("file:/etc/passwd", None),
        ("canary-key-by-mistake", None),
        ("env:" + "A" * 3000, None),
    ],
)
def test_a_reference_is_read_or_is_none(text: str, place: Place | None) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    ("reference", "workspace", "operator", "tenant"),
    [
        ("ssm:/weir/acme/openai", "acme", True, True),
        ("ssm:/weir/acme/deep/openai", "acme", True, True),
        ("secretsmanager:weir/acme/openai#key", "acme", True, True),
        ("ssm:/weir/other/openai", "acme", True, False),
        ("ssm:/weir/acme-two/openai", "acme", True, False),
        ("ssm:/weir/acme", "acme", True, False),
        ("ssm:/weir/ACME/openai", "acme", True, False),
        ("ssm:/weir/acme/../other/openai", "acme", False, False),
        ("ssm:/else/acme/openai", "acme", False, False),
        ("ssm:/weird/acme/openai", "acme", False, False),
        ("secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:x-AbC", "acme", True, False),
        ("secretsmanager:/weir/acme/openai", "acme", False, False),
        ("env:TEAM_acme/KEY", "acme", True, False),
        ("env:OPENAI_API_KEY", "acme", False, False),
        ("ssm:/weir/acme/x/openai", "acme/x", True, False),
        ("ssm:/weir//openai", "", True, False),
        ("not a reference", "acme", False, False),
    ],
)
def test_a_workspace_names_what_is_in_its_own_folder_and_the_operator_what_is_allowed(
    reference: str, workspace: str, operator: bool, tenant: bool
) -> None:
    found = [is_allowed(reference, ALLOWED, workspace=workspace, by_operator=by) for by in (True, False)]
    assert found == [operator, tenant]


def test_where_nothing_is_allowed_nobody_may() -> None:
    assert not is_allowed("ssm:/weir/acme/openai", (), workspace="acme", by_operator=True)
    assert not is_allowed("ssm:/weiracme/openai", ("ssm:/weir",), workspace="acme", by_operator=False)
