"""Options of the command line that several commands share. A parameter's bounds and default are its model's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRunParams


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parameter(name: str) -> Any:
    field = DiscoveryRunParams.model_fields[name]
    bounds = {
        kind: getattr(item, kind) for item in field.metadata for kind in ("ge", "le") if hasattr(item, kind)
    }
    default = "none" if field.default is None else f"{field.default:g}"
    names = [_flag(name)]
    if isinstance(field.default, bool):
        names = [f"{_flag(name)}/{_flag('no_' + name)}"]
        default = "yes" if field.default else "no"
    range_ = ""
    if "ge" in bounds:
        range_ = (
            f"{bounds['ge']:g} to {bounds['le']:g}, " if "le" in bounds else f"{bounds['ge']:g} or more, "
        )
    return typer.Option(*names, help=f"{field.description} ({range_}default {default})", show_default=False)


MinPriceChangePct = Annotated[float | None, _parameter("min_price_change_pct")]
MinVolumeUsd = Annotated[float | None, _parameter("min_volume_usd")]
MaxTokenAgeHours = Annotated[int | None, _parameter("max_token_age_hours")]
EarlyWindowMinutes = Annotated[int | None, _parameter("early_window_minutes")]
MinProfitPct = Annotated[float | None, _parameter("min_profit_pct")]
MaxTokens = Annotated[int | None, _parameter("max_tokens")]
ProfileImmediately = Annotated[bool | None, _parameter("profile_immediately")]
MinLiquidityUsd = Annotated[float | None, _parameter("min_liquidity_usd")]
MaxCredits = Annotated[int | None, _parameter("max_credits")]
IncludeLaunchSlot = Annotated[bool | None, _parameter("include_launch_slot")]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="Rows of a page.")]
Cursor = Annotated[str | None, typer.Option(help="Where the page before ended.")]
Export = Annotated[Path | None, typer.Option(help="Also write the wallets: .csv, .parquet or .json.")]
AllWallets = Annotated[bool, typer.Option("--all", help="Show the excluded wallets too.")]
Sandbox = Annotated[
    bool, typer.Option("--sandbox", help="Take the sandbox market (demo data), also where there is a key.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the sandbox market.")]
Tapes = Annotated[Path, typer.Option("--tapes", help="Folder of tape files, .csv and .parquet.")]


def params_of(options: Mapping[str, Any]) -> DiscoveryRunParams:
    """The parameters among a command's options; what was not given has its default.

    Raises BadInputError, naming the option and its bound.
    """
    given = {name: options[name] for name in DiscoveryRunParams.model_fields if options.get(name) is not None}
    try:
        return DiscoveryRunParams(**given)
    except ValidationError as error:
        problems = [
            f"{_flag(str(problem['loc'][0]))} {problem['input']}: {problem['msg'].lower()}"
            for problem in error.errors(include_url=False)
        ]
        raise BadInputError("; ".join(problems)) from error


def given_parameters(options: Mapping[str, Any], *, no_max_credits: bool = False) -> dict[str, Any]:
    """The parameters that a command was given. Raises BadInputError where two of them contradict each other."""
    given = {name: options[name] for name in DiscoveryRunParams.model_fields if options.get(name) is not None}
    if no_max_credits:
        if "max_credits" in given:
            raise BadInputError("--no-max-credits: leave it out, or --max-credits")
        given["max_credits"] = None
    return given


def utc(time: datetime | None) -> datetime | None:
    """A time from the command line, which has no zone: UTC."""
    return None if time is None else time.replace(tzinfo=UTC)
