"""The server's application: every provider under a path of its own, and `/sandbox` to look behind the scenes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from walltrack.sandbox.server import hostile
from walltrack.sandbox.server.dexscreener import DexScreener
from walltrack.sandbox.server.geckoterminal import GeckoTerminal
from walltrack.sandbox.server.helius_enhanced import EnhancedTransactions
from walltrack.sandbox.server.helius_rpc import HeliusRpc
from walltrack.sandbox.server.jupiter import Jupiter
from walltrack.sandbox.server.renewal import keep_renewing
from walltrack.sandbox.server.solana_rpc import SolanaNode
from walltrack.sandbox.server.state import ServerState


def application(state: ServerState, started: Callable[[], None]) -> Starlette:
    """The ASGI application. `started` is called when it takes requests."""
    providers: list[Route] = [
        route
        for provider in (
            DexScreener(state),
            GeckoTerminal(state),
            Jupiter(state),
            HeliusRpc(state),
            EnhancedTransactions(state),
            SolanaNode(state),
        )
        for route in provider.routes()
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        renewal = state.settings.renewal
        renewing = None if renewal is None else asyncio.create_task(keep_renewing(state, renewal))
        started()
        yield
        if renewing is not None:
            renewing.cancel()

    routes = [*providers, *_sandbox(state), *hostile.routes(Router(providers))]
    return Starlette(routes=routes, lifespan=lifespan)


def _sandbox(state: ServerState) -> list[Route]:
    async def index(_: Request) -> Response:
        market = state.market
        return _json(
            {
                "what": "WallTrack sandbox: demo data",
                "seed": market.seed,
                "now": market.now,
                "tokens": len(market.tokens),
                "transactions": len(market.transactions),
                "keys": {key: plan.name for key, plan in state.keys.items()},
            }
        )

    async def truth(_: Request) -> Response:
        return _json(state.market.truth)

    async def credits(_: Request) -> Response:
        return _json(credits_of(state))

    async def requests(request: Request) -> Response:
        wanted = request.query_params
        return _json(
            [
                asdict(entry)
                for entry in list(state.log)
                if wanted.get("provider") in {None, entry.provider}
                and wanted.get("method") in {None, entry.method}
            ]
        )

    endpoints = {"": index, "/truth": truth, "/credits": credits, "/requests": requests}
    return [Route(f"/sandbox{path}", endpoint) for path, endpoint in endpoints.items()]


def credits_of(state: ServerState) -> dict[str, dict[str, object]]:
    """By key: its plan, the month's credits, those used, and by what."""
    return {
        key: {
            "plan": plan.name,
            "monthly_credits": plan.monthly_credits,
            "used": state.ledger.used(key),
            "by_method": state.ledger.by_method(key),
        }
        for key, plan in state.keys.items()
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
