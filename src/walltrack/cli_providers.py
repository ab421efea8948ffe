"""Commands about markets and providers: what pumped, what the keys can do."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime

import typer

from walltrack.cli_desk import DEFAULT_SEED, with_desk
from walltrack.cli_market import Market, market
from walltrack.cli_options import (
    AsJson,
    MaxTokenAgeHours,
    MaxTokens,
    MinLiquidityUsd,
    MinPriceChangePct,
    MinVolumeUsd,
    Sandbox,
    Seed,
    params_of,
)
from walltrack.cli_running import print_json, tell, with_database
from walltrack.cli_server import HereOnly, refuse_options, server_asked
from walltrack.cli_tables import Screen, moment
from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.services.checks import ProviderCheck, check_providers
from walltrack.services.http import Http
from walltrack.services.metering import Meter
from walltrack.services.retries import RetryPolicy
from walltrack.services.wire import HttpBounds

providers_app = typer.Typer(help="Providers and keys.", no_args_is_help=True)


def pumps(
    min_price_change_pct: MinPriceChangePct = None,
    min_volume_usd: MinVolumeUsd = None,
    max_token_age_hours: MaxTokenAgeHours = None,
    max_tokens: MaxTokens = None,
    min_liquidity_usd: MinLiquidityUsd = None,
    sandbox: Sandbox = False,
    seed: Seed = DEFAULT_SEED,
    json: AsJson = False,
) -> None:
    """Tokens that pumped, and why the others that the markets list are left out. Spends no credits."""
    params = params_of(locals())
    settings = load_settings()
    server = server_asked(settings)
    if server is not None:
        refuse_options(server, {"--sandbox": sandbox})
    place_of = nullcontext() if server is not None else market(settings, sandbox=sandbox, seed=seed)
    with place_of as place:
        found = with_desk(lambda desk: desk.pumps(params), seed=seed, place=place)
    if json:
        pumped = [token.model_dump(exclude={"pools", "providers"}) for token in found.pumped]
        refused = [{"mint": one.mint, "symbol": one.name, "reason": one.reason} for one in found.refused]
        print_json({"source": found.source, "pumped": pumped, "refused": refused, "warnings": found.warnings})
        return
    screen = Screen()
    screen.say(f"From the {found.source}:")
    names = ("token", "symbol", "launched", "24 h", "to peak", "volume 24 h", "liquidity", "trades 24 h")
    screen.rows(
        names,
        [
            (
                screen.address(token.mint),
                token.symbol,
                moment(token.launched_at),
                _pct(token.price_change_24h_pct),
                _pct(token.rise_to_peak_pct),
                f"${token.volume_24h_usd:,.0f}",
                f"${token.liquidity_usd:,.0f}",
                "" if token.transactions_24h is None else f"{token.transactions_24h:,}",
            )
            for token in found.pumped
        ],
    )
    screen.say(f"{len(found.pumped)} pumped, {len(found.refused)} left out:")
    screen.rows(
        ("token", "symbol", "reason"),
        [(screen.address(one.mint), one.name, one.reason) for one in found.refused],
    )
    for warning in found.warnings:
        tell(warning)


@providers_app.command("check", cls=HereOnly)
def providers_check(sandbox: Sandbox = False, seed: Seed = 1, json: AsJson = False) -> None:
    """Which keys work, which methods their plans have, and what was spent this month. Keys are masked."""
    with market(load_settings(), sandbox=sandbox, seed=seed) as place:

        async def ask(database: Database) -> list[ProviderCheck]:
            usage = await ProviderRepository(database).usage_of_month(datetime.now(UTC))
            spent = {one.provider: one.credits for one in usage}
            async with _http(place, database) as http:
                return await check_providers(http, place.settings, spent)

        checks = with_database(ask)
    if json:
        print_json({"source": place.description, "providers": checks})
    else:
        screen = Screen()
        screen.say(f"Of the {place.description}:")
        screen.rows(
            ("provider", "key", "works", "what it has", "credits spent this month"),
            [
                (c.provider, c.key, "yes" if c.works else "no", c.says, f"{c.credits_this_month:,}")
                for c in checks
            ],
        )
    if not all(check.works for check in checks):
        raise typer.Exit(1)


def _http(place: Market, database: Database) -> Http:
    rows = ProviderRepository(database)
    meter = Meter() if place.demo else Meter(None, rows)  # what a made-up market takes is nobody's spending
    retries = RetryPolicy(tries=place.settings.http_tries)
    return Http(quotas=rows, meter=meter, bounds=HttpBounds.of(place.settings), retries=retries)


def _pct(change: float | None) -> str:
    return "" if change is None else f"{change:+,.0f} %"
