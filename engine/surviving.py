"""A product goes on after the venue took lots or money, or closes where that is the end."""

from __future__ import annotations

from engine.handler_state import ACTIVE, CLOSING
from engine.orders import Scene
from engine.shutting import Shutting

__all__ = ["Surviving"]


class Surviving(Shutting):
    """What the venue does to one product."""

    __slots__ = ()

    def attend(self, scene: Scene) -> bool:
        """It is woken now. ``Handler`` gives it, who knows what an answer leads to."""
        raise NotImplementedError

    def _attend_last(self, scene: Scene) -> None:
        """It is woken last of this instant. ``Handler`` gives it."""
        raise NotImplementedError

    def survive(self, scene: Scene, last: bool) -> None:
        """The venue took lots or money: go on with what is left, now, or last of this instant."""
        if self.spec.kind == "futures" and not self.account.lots:
            self.state.status = CLOSING
            self._closed(scene, "liquidated")
        if self.state.status == CLOSING and self.desk.state.plan is None:
            order = self.desk.order(scene, "close", -self.account.lots, reason="liquidated")
            self._send(scene, order)
        if last:
            self._attend_last(scene)
        else:
            self.attend(scene)

    def go_on(self, scene: Scene, ends: str = "") -> None:
        """Money at the venue is another sum: go on with it, or close where that is the end."""
        if ends:
            if self.account.formula and self.state.status == ACTIVE:
                self.account.end(scene.mark)
            self.state.status = CLOSING
            self._closed(scene, ends)
        self.attend(scene)
