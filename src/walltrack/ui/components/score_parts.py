"""What a score is made of."""

from __future__ import annotations

from walltrack.client import WalletScore
from walltrack.ui.components.formatting import share, words
from walltrack.ui.components.parts import empty, tag


def show_score_parts(score: WalletScore) -> None:
    """Each part with its value, its weight and what it was made of."""
    if not score.parts:
        empty("There is no score.", score.reason)
        return
    for part in score.parts:
        with tag("div", data_part=part.name):
            with tag("div", classes="wt-row wt-row--apart"):
                tag("span", words(part.name))
                tag(
                    "span", f"{part.value:.2f} of 1, weight {share(part.weight)}", classes="wt-soft wt-number"
                )
            with tag("div", classes="wt-bar"):
                tag("span", data_tone="good").style(f"width: {100 * part.value:.1f}%")
            tag("p", part.explanation, classes="wt-hint")
