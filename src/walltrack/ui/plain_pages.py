"""Pages that work before anybody is known: log-in, and what stands there while the API does not answer."""

from __future__ import annotations

from html import escape
from typing import Final

from starlette.responses import HTMLResponse

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{head}
<title>{title} · WallTrack</title>
<link rel="icon" href="/static/walltrack.svg"><link rel="stylesheet" href="/static/walltrack.css">
</head>
<body class="wt-plain"><main class="wt-plain__box">
<p class="wt-brand"><img src="/static/walltrack.svg" alt="" width="28" height="28"> WallTrack</p>
{body}
</main></body></html>
"""

_LOG_IN: Final = """<h1>Log in</h1>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{target}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" required autofocus
  placeholder="wt_…" maxlength="200">
<button type="submit">Log in</button>
</form>
<p class="wt-hint">A key is made on the server with <code>walltrack keys create NAME --scope operate</code>. You may do
here what the key may do. It is kept in this server's memory only, until you log out.</p>
<script>
fetch("/login/known", {{credentials: "same-origin"}}).then((answer) => {{
  if (answer.status === 204) location.replace(document.querySelector("[name=next]").value);
}}).catch(() => undefined);
</script>"""


def log_in_page(target: str, *, problem: str | None = None, status: int = 200) -> HTMLResponse:
    """The form that asks for a key. Somebody who comes by a link of another site and is logged in goes right on."""
    message = "" if problem is None else f'<p class="wt-problem" role="alert">{escape(problem)}</p>'
    body = _LOG_IN.format(message=message, target=escape(target, quote=True))
    return HTMLResponse(_PAGE.format(title="Log in", head="", body=body), status)


def waiting_page(api_url: str, why: str) -> HTMLResponse:
    """What stands there while the API does not answer: it looks again by itself."""
    body = (
        '<h1>The API does not answer</h1><p class="wt-problem" role="alert">'
        f"{escape(api_url)} is not to be reached. This page looks again by itself.</p>"
        f'<p class="wt-hint">{escape(why)}</p>'
        '<p class="wt-hint">It is started with <code>walltrack serve</code>; '
        "<code>WALLTRACK_SERVER</code> tells the dashboard where it is.</p>"
    )
    refresh = '<meta http-equiv="refresh" content="2">'
    return HTMLResponse(_PAGE.format(title="Waiting for the API", head=refresh, body=body), 503)


def refusal_page(why: str) -> HTMLResponse:
    """What stands there where nobody may look."""
    body = f'<h1>Not open</h1><p class="wt-problem" role="alert">{escape(why)}</p>'
    return HTMLResponse(_PAGE.format(title="Not open", head="", body=body), 403)


def local_target(target: str) -> str:
    """Where to go after log-in: a path of this dashboard, whatever was asked for."""
    if target.startswith("/") and not target.startswith(("//", "/\\", "/login")) and target.isprintable():
        return target
    return "/"
