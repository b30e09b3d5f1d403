"""How do requests wait for the node's answer? I/O. What the API needs of the daemon, as awaitable calls."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from clusterd.adapters.boot_clock import now_ms
from clusterd.database import DatabaseView
from clusterd.model.errors import BadInput, Busy, ClusterError, NotFound, TooLarge, UnknownOutcome
from clusterd.model.ids import NodeId
from clusterd.node.effects import CommitDone, ReadDone
from clusterd.node.events import CommitAsked, Event, ReadAsked
from clusterd.node.questions import Questions
from clusterd.runtime.type_questions import Question
from clusterd.wire.peer_pb2 import Envelope, OwnerAnswer, OwnerQuery
from clusterd.wire.records_pb2 import Transaction, TransactionResult

T = TypeVar("T")
TRANSACTION_BYTES_MAX = 512 * 1024
ASKED_BY_MAX = 200
STOP_DELAY_S = 0.1
ANSWER_BYTES_MAX = 1 << 20
ANSWERS_AT_ONCE_MAX = 64
ANSWER_WITHIN_S = 15.0
Control = Callable[[str, str, str, bytes], Awaitable[bytes]]
"""(host, resource, verb, body) → what the resource type answers."""
Examine = Callable[[Question, bytes], Awaitable[bytes]]
"""(question to a resource type, body) → what the type says of this node."""
Answer = Callable[[bytes], Awaitable[bytes]]


class Clients:
    """Requests under way at one daemon."""

    def __init__(
        self,
        asked: Questions,
        post: Callable[[Event], None],
        send: Callable[[NodeId, Envelope], None],
        control: Control,
        examine: Examine,
        stop: Callable[[str], None],
    ) -> None:
        self._asked = asked
        self._post = post
        self._send = send
        self._control = control
        self._examine = examine
        self._stop = stop
        self._offers: dict[str, Answer] = {"stop": self._stop_soon}
        self._last_context = 0
        self._commits: dict[int, asyncio.Future[TransactionResult]] = {}
        self._reads: dict[int, asyncio.Future[None]] = {}
        self._queries: dict[int, asyncio.Future[bytes]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._newer: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def node(self) -> NodeId:
        return self._asked.me

    def offer(self, verb: str, answer: Answer) -> None:
        """From now on this node answers `verb` when it is asked itself."""
        self._offers[verb] = answer

    def view(self) -> DatabaseView:
        return self._asked.view()

    # ---- requests ----

    async def commit(self, transaction: Transaction, timeout_ms: int, term: int = 0) -> TransactionResult:
        """Commit from any node; on return the local view includes it, unless this node was cut off meanwhile.

        With `term`: only as the leader of that term, else NotLeader. Raises NoQuorum, UnknownOutcome, TooLarge.
        """
        if transaction.ByteSize() > TRANSACTION_BYTES_MAX:
            raise TooLarge(
                f"the change has {transaction.ByteSize()} bytes, at most {TRANSACTION_BYTES_MAX} are taken at once",
                hint="split it into several",
            )
        context, answer = self._ask(self._commits)
        self._post(CommitAsked(context, transaction, now_ms() + timeout_ms, term))
        result = await self._wait(answer, self._commits, context, timeout_ms)
        if result.succeeded and result.revision > self._asked.revision:
            # It is committed, whatever happens here: a node that is cut off now only does not see it yet.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await self.changes(result.revision - 1)
        return result

    async def linearizable(self, timeout_ms: int) -> None:
        """On return the view includes every commit acknowledged before the call. Raises NoQuorum, UnknownOutcome."""
        context, answer = self._ask(self._reads)
        self._post(ReadAsked(context, now_ms() + timeout_ms))
        await self._wait(answer, self._reads, context, timeout_ms)

    async def changes(self, after_revision: int) -> None:
        """Return once the local database is newer than `after_revision`."""
        if self._asked.revision > after_revision:
            return
        newer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._newer = [each for each in self._newer if not each[1].done()]
        self._newer.append((after_revision, newer))
        await newer

    async def ask_owner(self, resource: str, verb: str, body: bytes, timeout_ms: int) -> bytes:
        """Ask the resource type of a resource, on whatever node owns it."""
        record = self.view().resource(resource)
        assignment = self.view().assignment(record.group) if record is not None else None
        if record is None:
            raise NotFound(f"there is no resource {resource}", hint="clusterctl resource list")
        if assignment is None or not assignment.owner:
            raise NotFound(f"{resource} has no owner now", hint=f"clusterctl explain resource {resource}")
        return await self._ask_at(assignment.owner, OwnerQuery(resource=resource, verb=verb, body=body), timeout_ms)

    async def ask_node(self, node: NodeId, verb: str, body: bytes, timeout_ms: int) -> bytes:
        """Ask a node's daemon for what only it can do or know: `stop`, `clock`, `facts`."""
        return await self._ask_at(node, OwnerQuery(verb=verb, body=body), timeout_ms)

    async def ask_type(
        self, node: NodeId, type_name: str, question: str, body: bytes, timeout_ms: int, about: str = ""
    ) -> bytes:
        """Ask a resource type about a node; `about`: which resource it is asked for."""
        return await self._ask_at(node, OwnerQuery(type=type_name, verb=question, body=body, about=about), timeout_ms)

    async def _ask_at(self, node: NodeId, query: OwnerQuery, timeout_ms: int) -> bytes:
        """Raises UnknownOutcome when no answer came in time."""
        if node == self._asked.me:
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    return await self._answer_to(query)
            except TimeoutError as error:
                raise _no_answer(node) from error
        query.context, answer = self._ask(self._queries)
        self._send(node, Envelope(sender=self._asked.me, receiver=node, owner_query=query))
        return await self._wait(answer, self._queries, query.context, timeout_ms, node)

    # ---- answers ----

    def commit_done(self, done: CommitDone) -> None:
        _settle(self._commits, done.context, done.result, done.error)

    def read_done(self, done: ReadDone) -> None:
        _settle(self._reads, done.context, None, done.error)

    def applied(self, revision: int) -> None:
        waiting, self._newer = self._newer, []
        for after_revision, newer in waiting:
            if newer.done():
                continue
            if revision > after_revision:
                newer.set_result(None)
            else:
                self._newer.append((after_revision, newer))

    def take_query(self, peer: NodeId, envelope: Envelope) -> bool:
        """Whether a message is about a resource's host rather than for the node's brain."""
        match envelope.WhichOneof("body"):
            case "owner_query":
                task = asyncio.create_task(self._answer(peer, envelope.owner_query), name="owner query")
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            case "owner_answer":
                answer = envelope.owner_answer
                error = ClusterError(answer.error) if answer.error else None
                _settle(self._queries, answer.context, answer.body, error)
            case _:
                return False
        return True

    async def _answer(self, peer: NodeId, query: OwnerQuery) -> None:
        answer = OwnerAnswer(context=query.context)
        try:
            if len(self._answering) > ANSWERS_AT_ONCE_MAX:
                raise Busy(f"{self._asked.me} answers {ANSWERS_AT_ONCE_MAX} questions already")
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer.body = await self._answer_to(query)
        except ClusterError as error:
            answer.error = error.message
        except TimeoutError:
            answer.error = f"{query.verb} took {self._asked.me} longer than {ANSWER_WITHIN_S:g} s"
        self._send(peer, Envelope(sender=self._asked.me, receiver=peer, owner_answer=answer))

    async def _answer_to(self, query: OwnerQuery) -> bytes:
        if query.resource:
            found = await self._ask_own_host(query.resource, query.verb, query.body)
        elif query.type:
            found = await self._examine(Question(query.type, query.verb, query.about), query.body)
        elif (answer := self._offers.get(query.verb)) is not None:
            found = await answer(query.body)
        else:
            raise BadInput(f"{self._asked.me} does not know {query.verb!r}", hint="its version may be older")
        if len(found) > ANSWER_BYTES_MAX:
            raise TooLarge(f"the answer to {query.verb} has {len(found)} bytes, at most {ANSWER_BYTES_MAX} are sent")
        return found

    async def _stop_soon(self, body: bytes) -> bytes:
        asked_by = body.decode("utf-8", "replace")[:ASKED_BY_MAX]
        # After the answer is on its way.
        asyncio.get_running_loop().call_later(STOP_DELAY_S, self._stop, f"{asked_by} stopped the node")
        return b""

    async def _ask_own_host(self, resource: str, verb: str, body: bytes) -> bytes:
        host = self._asked.host_of(resource)
        if host is None:
            raise NotFound(
                f"no resource host of {self._asked.me} serves {resource} now",
                hint=f"clusterctl explain resource {resource}",
            )
        return await self._control(host, resource, verb, body)

    # ---- building blocks ----

    def _ask(self, waiting: "dict[int, asyncio.Future[T]]") -> "tuple[int, asyncio.Future[T]]":
        self._last_context += 1
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting[self._last_context] = answer
        return self._last_context, answer

    async def _wait(
        self,
        answer: "asyncio.Future[T]",
        waiting: "dict[int, asyncio.Future[T]]",
        context: int,
        timeout_ms: int,
        asked: NodeId | None = None,
    ) -> "T":
        """The node answers in time by itself; a little more patience is for a node that does not run."""
        silence = asyncio.get_running_loop().call_later(
            timeout_ms / 1000 + 1, _give_up, answer, asked or self._asked.me
        )
        try:
            return await answer
        finally:
            silence.cancel()
            waiting.pop(context, None)


def _no_answer(node: NodeId) -> UnknownOutcome:
    return UnknownOutcome(f"{node} did not answer in time", hint="look at the state before repeating")


def _give_up(answer: "asyncio.Future[T]", node: NodeId) -> None:
    if not answer.done():
        answer.set_exception(_no_answer(node))


def _settle(
    waiting: "dict[int, asyncio.Future[T]]", context: int, value: "T | None", error: ClusterError | None
) -> None:
    answer = waiting.get(context)
    if answer is None or answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(value)  # type: ignore[arg-type]  # a read has no value, a commit always has one
