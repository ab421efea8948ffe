"""What a provider's answer can be instead of a result: a closed set of faults."""

from __future__ import annotations

from walltrack.discovery.errors import WallTrackError


class ProviderFault(WallTrackError):  # noqa: N818 - a fault of the call, as the docs name the five kinds
    """A call to a provider brought no result. Never raised itself: one of the five kinds below is.

    `provider` is its name, `method` the RPC method or path, `status` the HTTP status (None: there was no answer),
    `code` the code of a JSON-RPC error, `said` what the provider said: one line, clipped, without keys.
    """

    advice = ""

    def __init__(
        self, provider: str, method: str, said: str, *, status: int | None = None, code: int | None = None
    ) -> None:
        where = f"{provider} {method}"
        answer = [f"HTTP {status}"] if status is not None else []
        answer += [f"error {code}"] if code is not None else []
        shown = f" ({', '.join(answer)})" if answer else ""
        super().__init__(f"{where}: {said or 'no message'}{shown}{self.advice}")
        self.provider = provider
        self.method = method
        self.status = status
        self.code = code
        self.said = said


class RetryableFault(ProviderFault):
    """The provider could not answer now: network, overload, rate limit, an answer cut short. Every try is used up."""

    advice = "; all tries are used up, try again later"


class NotInPlanFault(ProviderFault):
    """This key's plan, or this server, does not have the method."""

    advice = "; this plan or server does not offer it"


class SpentFault(ProviderFault):
    """The month's credits of the key are spent. Nothing more is asked with it."""

    advice = "; the key's credits are spent until its plan renews or is extended"


class RefusedFault(ProviderFault):
    """The provider refuses the call as it is: wrong key, bad parameter, not found. The same call would fail again."""


class MalformedFault(ProviderFault):
    """What came is no answer: not JSON, not of the documented shape, too large, wrongly compressed."""
