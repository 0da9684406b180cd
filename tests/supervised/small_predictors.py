"""Settings with which each predictor learns in a moment; those that are missing use their defaults."""

from typing import Any

SMALL: dict[str, Any] = {}
