"""The schedule and the parameters, as an operator sets them in the browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.ui.conftest import PHONE, Opens
from tests.e2e.ui.parts import card, choose, number, save
from tests.e2e.ui.stage import Stage


def test_the_schedule_is_enabled_with_a_frequency_and_survives_a_restart_of_everything(
    system: Stage, open_page: Opens
) -> None:
    page = open_page(system.url)
    scheduler = card(page, "scheduler")
    expect(scheduler.get_by_text("Disabled", exact=True)).to_be_visible()
    expect(scheduler.locator("[data-fact=next-run]")).to_be_hidden()
    page.get_by_role("switch", name="Start runs by themselves").click()
    choose(page, "Frequency", "Every 12 hours")
    number(page, "Tokens of a run").fill("7")
    bar = page.locator("[data-bar=save]")
    expect(bar).to_contain_text("Enabled")
    expect(bar).to_contain_text("Hours")
    expect(bar).to_contain_text("Tokens of a run")
    expect(scheduler).to_contain_text("Next times, once this is saved")
    expect(scheduler.locator("[data-list=next-times] wt-time")).to_have_count(5)
    save(page)
    expect(scheduler.get_by_text("Enabled", exact=True)).to_be_visible()
    expect(scheduler.locator("[data-fact=next-run]")).to_contain_text("in ")
    expect(scheduler.locator("[data-fact=saved]")).to_contain_text("by anybody on this machine at")
    page.goto("about:blank")
    system.stop()
    system.start()
    page.goto(system.url)
    expect(card(page, "scheduler").get_by_text("Enabled", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name="Frequency")).to_have_value("Every 12 hours")
    expect(number(page, "Tokens of a run")).to_have_value("7")
    page.get_by_role("switch", name="Start runs by themselves").click()
    page.get_by_role("textbox", name="Pause note").fill("key is empty")
    save(page)
    expect(card(page, "scheduler")).to_contain_text("Paused: key is empty")
    stored = system.config()
    assert (stored["enabled"], stored["schedule_hours"], stored["note"]) == (False, 12, "key is empty")


def test_a_value_that_the_api_refuses_is_named_at_its_field_and_nothing_is_changed(
    system: Stage, open_page: Opens
) -> None:
    before = system.config()
    page = open_page(system.url)
    number(page, "Tokens of a run").fill("1000")
    number(page, "Realized profit").fill("501")
    tokens = page.locator("[data-field=max_tokens]")
    expect(tokens.get_by_role("alert")).to_contain_text("less than or equal to 100")
    expect(page.locator("[data-field=min_profit_pct]").get_by_role("alert")).to_contain_text("500")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Discard").click()
    expect(number(page, "Tokens of a run")).to_have_value("20")
    expect(tokens.get_by_role("alert")).to_be_hidden()
    choose(page, "Frequency", "Cron expression…")
    page.get_by_role("textbox", name="Cron expression").fill("61 * * * *")
    expect(page.locator("[data-field=schedule_cron]").get_by_role("alert")).to_contain_text("five fields")
    assert system.config() == before


def test_a_parameter_says_its_bounds_and_goes_back_to_its_default(system: Stage, open_page: Opens) -> None:
    page = open_page(system.url, size=PHONE)
    field = page.locator("[data-field=early_window_minutes]")
    expect(field).to_contain_text("5 to 120")
    expect(field.get_by_text("default", exact=True)).to_be_visible()
    number(page, "Early window").fill("15")
    field.get_by_role("button", name="reset to 30").click()
    expect(number(page, "Early window")).to_have_value("30")
    expect(page.locator("[data-bar=save]")).to_be_hidden()
    number(page, "Credits of a run").fill("500")
    save(page)
    assert system.config()["params"]["max_credits"] == 500
    number(page, "Credits of a run").fill("")
    save(page)
    assert system.config()["params"]["max_credits"] is None


def test_a_cron_expression_is_previewed_in_its_zone_and_an_own_interval_takes_it_away(
    system: Stage, open_page: Opens
) -> None:
    page = open_page(system.url, zone="Asia/Tokyo")
    page.get_by_role("switch", name="Start runs by themselves").click()
    choose(page, "Frequency", "Cron expression…")
    page.get_by_role("textbox", name="Cron expression").fill("30 6 * * *")
    page.get_by_role("textbox", name="Time zone").fill("Asia/Tokyo")
    times = card(page, "scheduler").locator("[data-list=next-times] wt-time")
    expect(times).to_have_count(5)
    expect(times.first).to_contain_text("06:30")
    expect(times.first).to_have_attribute("title", re.compile("21:30:00 UTC"))
    save(page)
    assert system.config()["schedule_cron"] == "30 6 * * *"
    choose(page, "Frequency", "Own interval…")
    number(page, "Interval").fill("5")
    save(page)
    stored = system.config()
    assert (stored["schedule_cron"], stored["schedule_hours"]) == (None, 5)


def test_what_somebody_else_saved_is_shown_before_it_is_overwritten(system: Stage, open_page: Opens) -> None:
    mine, theirs = open_page(system.url), open_page(system.url)
    number(mine, "Tokens of a run").fill("9")
    expect(mine.locator("[data-bar=save]")).to_contain_text("Tokens of a run")
    number(theirs, "24-hour volume").fill("70000")
    save(theirs)
    notice = mine.locator("[data-notice=conflict]")
    expect(notice).to_contain_text("24-hour volume 50,000 USD → 70,000 USD")
    expect(mine.get_by_role("button", name="Save", exact=True)).to_be_hidden()
    assert system.config()["params"]["max_tokens"] == 20
    mine.get_by_role("button", name="Keep mine").click()
    expect(number(mine, "24-hour volume")).to_have_value("70000")
    save(mine)
    params = system.config()["params"]
    assert (params["max_tokens"], params["min_volume_usd"]) == (9, 70_000)
    expect(number(theirs, "Tokens of a run")).to_have_value("9")
