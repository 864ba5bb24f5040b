"""torch.compile for the parts of a task."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from s2s_core.errors import UserError


class Compile(Callback):
    """Compiles parts of the model in place, when the fit or the evaluation begins.

    Names, checkpoints and classes stay what they are. It pays where a model is many small operations between its
    matrix products (norms, activations, masks) and batches have few shapes: the first step of each new kind of shape
    takes seconds to minutes.

    Args:
        modules: patterns (``*`` and ``?``) of modules to compile, as in ``named_modules``.
        mode: ``reduce-overhead`` records CUDA graphs: for small steps on GPUs, and batches of one shape.
        dynamic: compile once for all lengths; if not given, torch decides when it has seen two.
        backend: of torch.compile.

    Raises:
        UserError: when it begins, if a pattern names no module.
    """

    def __init__(
        self,
        modules: list[str] | None = None,
        mode: Literal["default", "reduce-overhead", "max-autotune"] = "default",
        dynamic: bool | None = None,
        backend: str = "inductor",
    ) -> None:
        self.modules = ["encoder", "decoder"] if modules is None else modules
        self.mode, self.dynamic, self.backend = mode, dynamic, backend
        self._done: LightningModule | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._done is not pl_module:
            self.compile(pl_module)
            self._done = pl_module

    def compile(self, model: LightningModule) -> None:
        """Compile the parts of ``model`` in place.

        Raises:
            UserError: if a pattern names no module.
        """
        named = dict(model.named_modules())
        for pattern in self.modules:
            chosen = [name for name in named if fnmatchcase(name, pattern)]
            if not chosen:
                raise UserError(f"Compile: no module of {type(model).__name__} is called {pattern!r}")
            for name in chosen:
                # backends other than torch's own have no modes
                mode = self.mode if self.backend == "inductor" else None
                named[name].compile(backend=self.backend, mode=mode, dynamic=self.dynamic)
