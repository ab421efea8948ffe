"""The command that shows two runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from walltrack.cli_desk import with_desk
from walltrack.cli_options import AsJson
from walltrack.cli_running import print_json
from walltrack.cli_tables import Screen, counted, shown
from walltrack.discovery.run_diff import RunDiff, TokenDifference, WalletDifference


def runs_diff(
    a: Annotated[UUID, typer.Argument(help="The run that is compared with.")],
    b: Annotated[UUID, typer.Argument(help="The run that is looked at.")],
    json: AsJson = False,
) -> None:
    """What run B has otherwise than run A, and why: parameters, data or code version."""

    found = with_desk(lambda desk: desk.diff(a, b))
    if json:
        print_json({"a": str(a), "b": str(b)} | asdict(found))
    else:
        _show_diff(Screen(), found)


def _show_diff(screen: Screen, found: RunDiff) -> None:
    for cause in found.causes or ("the same parameters, tapes and code version",):
        screen.say(cause)
    for noun, tokens in (
        ("gained", found.tokens_gained),
        ("lost", found.tokens_lost),
        ("with another outcome", found.tokens_changed),
    ):
        _show_tokens(screen, noun, tokens)
    for noun, wallets in (("gained", found.wallets_gained), ("lost", found.wallets_lost)):
        _show_wallets(screen, noun, wallets)
    if found.wallets_changed:
        screen.say(f"{counted(len(found.wallets_changed), 'finding')} changed:")
        screen.rows(
            ("wallet", "token", "figure", "before", "after", "why"),
            [
                (
                    screen.address(one.wallet_address),
                    screen.address(one.source_token),
                    figure.name,
                    _figure(figure.before),
                    _figure(figure.after),
                    "; ".join(one.why),
                )
                for one in found.wallets_changed
                for figure in one.figures
            ],
        )
    screen.say(
        f"{len(found.wallets_gained):,} findings gained, {len(found.wallets_lost):,} lost,"
        f" {len(found.wallets_changed):,} changed, {found.same:,} the same"
    )


def _show_tokens(screen: Screen, noun: str, tokens: Sequence[TokenDifference]) -> None:
    if tokens:
        screen.say(f"{counted(len(tokens), 'token')} {noun}:")
        screen.rows(
            ("token", "before", "after", "why"),
            [
                (screen.address(one.mint), one.before or "", one.after or "", "; ".join(one.why))
                for one in tokens
            ],
        )


def _show_wallets(screen: Screen, noun: str, wallets: Sequence[WalletDifference]) -> None:
    if wallets:
        screen.say(f"{counted(len(wallets), 'finding')} {noun}:")
        screen.rows(
            ("wallet", "token", "why"),
            [
                (screen.address(one.wallet_address), screen.address(one.source_token), "; ".join(one.why))
                for one in wallets
            ],
        )


def _figure(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else shown(value)
