"""Which environment variables belong to a provider: what the registry and the access to AWS read, for people."""

from dataclasses import dataclass

from weir.providers.catalog import Environ, Provider


@dataclass(frozen=True, slots=True)
class Variables:
    """`keys`: the sets of variables of which each is enough to call it, the first that is set counts.

    `addresses`: those that name its base URL, in the same order. `others`: those with more to say, in Markdown.
    """

    keys: tuple[tuple[str, ...], ...]
    addresses: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()

    def key_set(self, environ: Environ) -> tuple[str, ...] | None:
        """The variables that the key is taken from here."""
        return next((names for names in self.keys if all(environ.get(name) for name in names)), None)


def variables_of(provider: Provider) -> Variables:
    if provider.key == "none":
        return Variables((), ())
    key, address = f"{provider.variable}_API_KEY", f"{provider.variable}_BASE_URL"
    match provider.name:
        case "azure":
            version = "`v1`, or the date of an API version; the default is 2024-10-21"
            return Variables(
                ((key,),),
                (address, "AZURE_OPENAI_ENDPOINT"),
                (("AZURE_OPENAI_API_VERSION", version), ("OPENAI_API_VERSION", "the same, where the other is not set")),
            )
        case "vertex":
            return Variables(
                ((key,),),
                (address,),
                (
                    (key, "an API key or an OAuth access token; its first letters tell which"),
                    ("VERTEX_PROJECT", "the project; or `GOOGLE_CLOUD_PROJECT`"),
                    (
                        "VERTEX_LOCATION",
                        "a region or `global`, the default; or `GOOGLE_CLOUD_LOCATION`. The host follows it",
                    ),
                ),
            )
        case "bedrock":
            return Variables(
                ((key,), ("AWS_BEARER_TOKEN_BEDROCK",), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
                (address, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
                (
                    ("AWS_SESSION_TOKEN", "with keys that are lent"),
                    ("AWS_REGION", "the region, us-east-1 by default; or `AWS_DEFAULT_REGION`. The host follows it"),
                    ("AWS_PROFILE", "and whatever else AWS's SDK finds: SSO, containers, roles"),
                ),
            )
        case _:
            return Variables(((key,),), (address,))
