"""How figures are written: enough digits to compare by, a unit wherever there is one, a dash where there is nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

NOTHING: Final = "\N{EN DASH}"

_STEPS: Final[tuple[tuple[int, str], ...]] = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def count(value: int | None) -> str:
    """1,234."""
    return NOTHING if value is None else f"{value:,}"


def sol(value: Decimal | None) -> str:
    """An amount in SOL with its unit: 1,234.57 SOL, 0.0123 SOL."""
    return NOTHING if value is None else f"{_digits(value)} SOL"


def signed_sol(value: Decimal | None) -> str:
    """A gain or a loss in SOL, always with its sign."""
    return NOTHING if value is None else f"{'+' if value > 0 else ''}{_digits(value)} SOL"


def usd(value: float | Decimal | None) -> str:
    """An amount in USD, in short: $1.2k, $3.45M."""
    if value is None:
        return NOTHING
    value = float(value)
    for size, name in _STEPS:
        if abs(value) >= size:
            return f"${value / size:,.3g}{name}" if abs(value) < 1000 * size else f"${value:,.0f}"
    return f"${value:,.2f}" if abs(value) < 100 else f"${value:,.0f}"


def in_usd(amount_sol: Decimal | None, sol_usd: Decimal | None) -> str:
    """An amount in SOL as about so much USD: ≈ $1.2k."""
    if amount_sol is None or sol_usd is None:
        return NOTHING
    value = amount_sol * sol_usd
    return f"≈ {'-' if value < 0 else ''}{usd(abs(value))}"


def percent(value: float | Decimal | None, *, signed: bool = False) -> str:
    """A percentage: 12.3 %, 1,234 %."""
    if value is None:
        return NOTHING
    value = float(value)
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"
    return f"{'+' if signed and value > 0 else ''}{text} %"


def share(value: float | Decimal | None) -> str:
    """A share 0-1 as a percentage."""
    return NOTHING if value is None else f"{value:.0%}".replace("%", " %")


def score(value: Decimal | None) -> str:
    """A score, 0 to 1."""
    return NOTHING if value is None else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """How long: 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    said = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")) if n]
    return " ".join(said[:2]) or "0 s"


def short(address: str) -> str:
    """The ends of an address."""
    return address if len(address) <= 14 else f"{address[:4]}…{address[-4:]}"


def moment(value: datetime | None) -> str | None:
    """A time as browsers read it."""
    return None if value is None else value.isoformat()


def words(name: str) -> str:
    """A name of the code for people: `min_volume_usd` is "Min volume usd"."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def plural(number: int, one: str, many: str | None = None) -> str:
    """1 run, 2 runs."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _digits(value: Decimal) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:,.2f}"
    return f"{value:.4f}" if size >= Decimal("0.0001") else f"{value:.2g}"
