"""The client of Weights & Biases: the package, who is logged in, and where runs go."""

from __future__ import annotations

import os
from typing import Any

from s2s_core.errors import UserError


def require_wandb(asker: str, otherwise: str = "") -> Any:
    """The module ``wandb``.

    Args:
        asker: what needs it, which a complaint begins with.
        otherwise: how it could go without, which a complaint ends with.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise UserError(f"{asker}: needs Weights & Biases: pip install 's2s-core[wandb]'{otherwise}") from error
    return wandb


def client_settings() -> Any:
    """What the client knows of the user and the server: ``api_key``, None if nobody is logged in, and ``settings``."""
    from wandb.apis import InternalApi

    return InternalApi()


def project_of(chosen: str | None, task: str) -> str:
    """The project that runs go to: the chosen one, that of ``WANDB_PROJECT``, or the task's."""
    return chosen or os.environ.get("WANDB_PROJECT") or f"s2s-{task}"
