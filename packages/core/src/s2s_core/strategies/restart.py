"""Workers that torchrun starts again meet in a store without the addresses of those that died."""

from __future__ import annotations

import os

from torch import distributed

_kept: list[object] = []
"""The stores that this process hosts: one ends when nothing refers to it any more."""


def renew_store() -> None:
    """Give the workers of a restart a store of their own, before their process group is made; elsewhere do nothing.

    torchrun hosts one store for all attempts of a run, and nothing in a key says of which attempt it is (torch 2.4 to
    2.11, ``DynamicRendezvousHandler``). A worker that comes first would read the address that its peer left there
    before it died, and Gloo's processes then wait for each other until the restarts are used up. Rank 0 hosts a store
    instead, and tells the others its port under a key of this attempt in torchrun's.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    host, key = os.environ["MASTER_ADDR"], f"s2s/store_of_attempt_{attempt}"
    shared = distributed.TCPStore(host, int(os.environ["MASTER_PORT"]), is_master=False)  # pyright: ignore[reportPrivateImportUsage]
    if os.environ["RANK"] == "0":
        # multi-tenant: the process group's own store of this address is then this one
        own = distributed.TCPStore(host, 0, is_master=True, wait_for_workers=False, multi_tenant=True)  # pyright: ignore[reportPrivateImportUsage]
        _kept.append(own)
        shared.set(key, str(own.port))
    os.environ["MASTER_PORT"] = shared.get(key).decode()
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
