"""What does an operator ask for, and what would it change? Pure. The values that every change is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView, Draft
from clusterd.model.events import Event
from clusterd.model.records import EventRecord


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a change, when, and under which request id; repeating an id changes nothing twice."""

    request_id: str
    by: str
    status: NodeStatus

    @property
    def wall_ms(self) -> int:
        return self.status.wall_ms


P = ParamSpec("P")
OPERATOR = "an operator"


@dataclass(frozen=True, slots=True)
class ChangeAsked:
    """A request for a change as it came: its id, what is asked (as a digest), and what must still be so."""

    request_id: str
    digest: str
    timeout_ms: int
    expected: tuple[str, int] | None = None
    """A key and the revision that the caller looked at: the change is made only if it is still that one."""
    by: str = OPERATOR


@dataclass(frozen=True, slots=True)
class Change:
    """One object that a plan touches. `action` is create, update or delete."""

    action: str
    kind: str
    name: str
    details: tuple[str, ...] = ()

    def view(self) -> dict[str, Any]:
        return {"action": self.action, "kind": self.kind, "name": self.name, "details": list(self.details)}

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name}" + (f" ({'; '.join(self.details)})" if self.details else "")


@dataclass(slots=True)
class Plan:
    """A transaction with what it means: changes, what to wait for afterwards, and remarks for the operator."""

    draft: Draft
    changes: list[Change] = field(default_factory=list)
    wait_for: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, action: str, kind: str, name: str, *details: str) -> None:
        self.changes.append(Change(action, kind, name, details))

    def event(
        self, asked: Asked, kind: Event, message: str, *, node: str = "", group: str = "", resource: str = ""
    ) -> None:
        """An event that says who asked; `node` is the one that it is about, or else the one that was asked."""
        self.draft.event(
            EventRecord(
                asked.wall_ms,
                kind.name,
                kind.level,
                node=node or asked.status.node,
                group=group,
                resource=resource,
                message=message,
                because=f"{asked.by} asked for it",
                caused_by=asked.request_id,
            )
        )


Planner = Callable[[DatabaseView, Asked], Plan]


@dataclass(frozen=True, slots=True)
class Deed:
    """A planner, by how it is made: so that it can be made, and used, in another process as well."""

    make: Callable[..., Planner]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]

    def __call__(self, view: DatabaseView, asked: Asked) -> Plan:
        return self.make(*self.arguments, **self.named)(view, asked)


def deed(make: Callable[P, Planner], *arguments: P.args, **named: P.kwargs) -> Planner:
    """The planner that `make` makes of these."""
    return Deed(make, arguments, named)
