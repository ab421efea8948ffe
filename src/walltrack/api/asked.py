"""What requests ask for, checked: pages, date ranges, preconditions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Header, Query
from pydantic import AwareDatetime

from walltrack.api.problems import ProblemError
from walltrack.contract import LARGEST_PAGE, FieldError
from walltrack.data.supabase.repositories.run_pages import LARGEST_OFFSET

LONGEST_CURSOR: Final = 500

_OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NEWEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

PageSize = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")
]


def refused(field: str, detail: str) -> ProblemError:
    """That a value cannot be: an answer 422 that names it."""
    return ProblemError(422, f"{field}: {detail}", errors=[FieldError(field=field, detail=detail)])


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on and before `end`, in UTC; None is open."""

    start: datetime | None
    end: datetime | None


async def period(
    start_date: Annotated[
        AwareDatetime | None, Query(description="From this moment on, with its time zone.")
    ] = None,
    end_date: Annotated[
        AwareDatetime | None, Query(description="Before this moment, with its time zone.")
    ] = None,
) -> Period:
    """The asked date range. Raises ProblemError (422) for one that ends before it begins, or beyond all history."""
    for name, moment in (("start_date", start_date), ("end_date", end_date)):
        if moment is not None and not _OLDEST <= moment <= _NEWEST:
            raise refused(name, f"must be between {_OLDEST:%Y-%m-%d} and {_NEWEST:%Y-%m-%d}")
    if start_date is not None and end_date is not None and end_date < start_date:
        raise refused("end_date", "must not be before start_date")
    return Period(
        None if start_date is None else start_date.astimezone(UTC),
        None if end_date is None else end_date.astimezone(UTC),
    )


Asked = Annotated[Period, Depends(period)]


@dataclass(frozen=True, slots=True)
class PageAsked:
    """A page by number, or where `page` is None the one after a cursor."""

    page: int | None
    page_size: int
    cursor: str | None

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return 0 if self.page is None else (self.page - 1) * self.page_size


async def page(
    page: Annotated[
        int | None, Query(ge=1, description=f"Number of the page, down to row {LARGEST_OFFSET:,}.")
    ] = None,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> PageAsked:
    """The asked page, the first one where nothing was said. Raises ProblemError (422) for one that is too deep."""
    if cursor is not None and page is not None:
        raise refused("page", "give a page or a cursor, not both")
    asked = PageAsked(None if cursor is not None else page or 1, page_size, cursor)
    if asked.offset + page_size > LARGEST_OFFSET:
        raise refused(
            "page",
            f"pages end at row {LARGEST_OFFSET:,}; go on with `cursor` (next_cursor of the page before)",
        )
    return asked


Page = Annotated[PageAsked, Depends(page)]


async def version_asked(
    if_match: Annotated[
        str | None, Header(max_length=100, description="ETag of what is to be changed.")
    ] = None,
) -> int | None:
    """The version of `If-Match`; None where any will do. Raises ProblemError (412) for what is no tag of ours."""
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip()
    if len(tag) > 2 and tag[0] == tag[-1] == '"' and tag[1:-1].isascii() and tag[1:-1].isdigit():
        return int(tag[1:-1])
    raise ProblemError(412, 'If-Match: must be the ETag of GET, like "3"')


IfMatch = Annotated[int | None, Depends(version_asked)]
