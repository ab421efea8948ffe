"""A chart that may be left at any moment."""

from __future__ import annotations

from typing import Any

from nicegui import ui


class Chart(ui.echart, component="chart.js"):
    """An ECharts chart. Its `draw` replaces all of it."""

    def draw(self, options: dict[str, Any]) -> None:
        """Draw something else."""
        self.options.clear()
        self.options.update(options)
        self.update()
