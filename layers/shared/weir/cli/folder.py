"""The data folder of a command that only makes sense where there is one: a mistyped name is not an empty ledger."""

from weir.runtime.settings import Settings, SettingsInvalid


def require_data(settings: Settings) -> None:
    """Raises SettingsInvalid."""
    if settings.engine == "sqlite" and not settings.data_dir.is_dir():
        raise SettingsInvalid(f"WEIR_DATA_DIR: there is no folder {settings.data_dir}")
