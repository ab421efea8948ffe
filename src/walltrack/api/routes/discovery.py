"""`/api/discovery`: runs, statistics, the configuration, and what pumps now."""

from __future__ import annotations

from fastapi import APIRouter

from walltrack.api.routes import configuration, market, run_actions, runs
from walltrack.contract import BASE_PATH

router = APIRouter(prefix=BASE_PATH)
router.include_router(run_actions.router)
router.include_router(runs.router)
router.include_router(configuration.router)
router.include_router(market.router)
