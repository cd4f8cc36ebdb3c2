"""The state of one Z-association, seen from the server, without I/O.

Octets go in with `receive_data`, typed requests come out of
`requests_received`, typed responses go in with `send`, octets come out of
`data_to_send`. The order of Z39.50-2003 §4.2.2 is kept here: Init first, one
Init only, nothing after Close.

    association.receive_data(data)
    for request in association.requests_received():
        association.send(await handler.respond(request))
    writer.writelines(association.data_to_send())
    if association.closed:
        writer.close()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import cast, get_args

from protocol.apdu import (
    Apdu,
    Close,
    CloseReason,
    InitializeRequest,
    InitializeResponse,
    PresentRequest,
    ProtocolVersion,
    Request,
    ScanRequest,
    SearchRequest,
    SortRequest,
    decode,
    encode,
)
from protocol.ber import Framer, ProtocolError
from protocol.known_forms import RequestForm
from protocol.known_requests import LESSONS_MAX, KnownRequest, KnownRequests


@dataclass(frozen=True, slots=True)
class AssociationLimits:
    """Bounds of one association, shared by all.

    `requests_queued_max` bounds pipelined requests that nobody has taken yet.
    """

    apdu_size_bytes_max: int = 16 * 1024 * 1024
    requests_queued_max: int = 4096


FORMS_MAX = 6  # that one association is looked at for
# To learn a form takes as long as to decode a request: too long for an association
# that only searches once and takes what it found.
FORMS_AFTER_LESSONS = 2


class _State(Enum):
    NEW = "no Init yet"
    INITIALIZING = "Init received"
    OPEN = "Init accepted"
    CLOSED = "closed"


class Association:
    """One Z-association; holds no buffer while it is idle.

    `version` is 2 or 3 once Init has been accepted. `failure` says what the
    peer did wrong, `peer_close` is the Close it sent; both are for the log.
    """

    __slots__ = (
        "_answering",
        "_ending",
        "_forms",
        "_framer",
        "_lessons",
        "_limits",
        "_out",
        "_queue",
        "_state",
        "_term_offset",
        "failure",
        "peer_close",
        "version",
    )

    def __init__(self, limits: AssociationLimits) -> None:
        self._limits = limits
        self._framer = Framer(limits.apdu_size_bytes_max)
        self._queue: deque[Request | Close | ProtocolError] | None = None
        self._out: list[bytes] | None = None
        self._state = _State.NEW
        self._ending = False  # the last item of the queue is not a request
        self._answering = False  # the caller holds a request that is not answered yet
        self._term_offset = 0  # in the newest Search of a known shape
        self._forms: tuple[RequestForm, ...] = ()  # of its newest requests that have one
        self._lessons = LESSONS_MAX
        self.failure: ProtocolError | None = None
        self.peer_close: Close | None = None
        self.version: int | None = None

    @property
    def closed(self) -> bool:
        """Nothing more is read or sent, but for what `data_to_send` still holds."""
        return self._state is _State.CLOSED

    @property
    def idle(self) -> bool:
        """No request is waiting, and none has begun to arrive."""
        return not self._queue and not self._answering and not self._framer.pending_bytes

    def receive_data(self, data: bytes) -> None:
        """Take octets from the peer, cut anywhere.

        Bad input does not raise: once the requests before it are answered, a
        Close with reason protocolError is due, and `failure` holds the cause.
        After that, and after Close, octets are dropped.
        """
        if self._state is _State.CLOSED or self._ending:
            return
        if self._queue is None:
            self._queue = deque()
        queue = self._queue
        try:
            for octets in self._framer.feed(data):
                apdu = decode(octets)
                if isinstance(apdu, Close):
                    self._ending = True
                    queue.append(apdu)
                    break
                queue.append(self._expected(apdu))
                if self._lessons:
                    self._learn(octets, apdu)
                if len(queue) > self._limits.requests_queued_max:
                    raise ProtocolError(f"more than {len(queue) - 1} requests at once")
            if self._framer.failure is not None and not self._ending:
                raise self._framer.failure
        except ProtocolError as failure:
            self._ending = True
            self.failure = failure.with_traceback(None)
            queue.append(failure)
        if self._ending and len(queue) == 1 and not self._answering:
            self._end(queue[0])
        elif not queue:
            self._queue = None

    def receive_eof(self) -> None:
        """No more octets come from the peer: a request that has only begun is dropped."""
        self._framer = _DRAINED

    def take(self, data: bytes) -> KnownRequest | None:
        """The one request that `data` is, if it is of a known form and nothing waits.

        Instead of `receive_data`, which is to be called when this gives None. To
        be followed by `answered`.
        """
        if self._state is not _OPEN or self._queue is not None or self._answering:
            return None
        if self._framer.pending_bytes or self._ending:
            return None
        request: KnownRequest | None
        request = _KNOWN.search(data, self._term_offset) or _KNOWN.unchanged(data)
        if request is None:
            for form in self._forms:
                request = form.recognised(data)
                if request is not None:
                    break
        if request is not None:
            self._answering = True
        return request

    def answered(self, *responses: Apdu | bytes) -> None:
        """Send what answers the request that `take` gave; octets are an encoded APDU."""
        for response in responses:
            if not isinstance(response, bytes):
                self.send(response)
            elif self._state is not _State.CLOSED:
                self._out = [*(self._out or ()), response]
        self._answering = False

    def _learn(self, octets: bytes, apdu: Apdu) -> None:
        if type(apdu) is SearchRequest:
            self._lessons -= 1
            offset = _KNOWN.learn_search(octets, apdu)
            self._term_offset = offset or self._term_offset
            if not offset:
                self._learn_form(octets, apdu)
        elif type(apdu) is PresentRequest:
            self._lessons -= 1
            _KNOWN.learn_unchanged(octets, apdu)
            self._learn_form(octets, apdu)
        elif type(apdu) is SortRequest:
            self._lessons -= 1
            _KNOWN.learn_unchanged(octets, apdu)
        elif type(apdu) is ScanRequest:
            self._lessons -= 1
            self._learn_form(octets, apdu)

    def _learn_form(self, octets: bytes, apdu: Apdu) -> None:
        if LESSONS_MAX - self._lessons <= FORMS_AFTER_LESSONS:
            return
        form = _KNOWN.learn_form(octets, apdu)
        if form is not None and form not in self._forms:
            self._forms = (form, *self._forms)[:FORMS_MAX]

    def requests_received(self) -> Iterator[Request]:
        """The requests that have arrived whole, in order, each once.

        Take the next only when the one before is answered: a Close that the
        client sent behind its requests is answered when its turn comes.
        """
        while self._queue:
            item = self._queue.popleft()
            if self._ending and not self._queue:
                self._end(item)
                return
            self._answering = True
            try:
                yield cast(Request, item)
            finally:
                self._answering = False
        if self._state is not _State.CLOSED:
            self._queue = None

    def send(self, apdu: Apdu) -> None:
        """Queue a response; dropped when the association is closed.

        An InitializeResponse settles the version, or ends the association
        when its result is False (Z39.50-2003 §3.2.1.1.8).
        """
        if self._state is _State.CLOSED:
            return
        if self._out is None:
            self._out = []
        self._out.append(encode(apdu))
        if isinstance(apdu, InitializeResponse):
            if not apdu.result:
                self._shut()
                return
            self._state = _State.OPEN
            self.version = 3 if ProtocolVersion.VERSION_3 in apdu.protocol_version else 2
        elif isinstance(apdu, Close):
            self._shut()

    def data_to_send(self) -> list[bytes]:
        """Octets for the peer, in order, each once."""
        out, self._out = self._out, None
        return out or []

    def close(self, reason: CloseReason, text: str = "", reference_id: bytes | None = None) -> None:
        """End the association now; requests not yet answered are dropped.

        The peer gets a Close APDU unless it negotiated version 2, which has
        none: there the connection just ends (Z39.50-2003 §3.2.11).
        """
        if self._state is _State.CLOSED:
            return
        if self.version == 2:
            self._shut()
            return
        self.send(
            Close(
                reference_id=reference_id,
                close_reason=reason,
                diagnostic_information=text or None,
            )
        )

    def _expected(self, apdu: Apdu) -> Request:
        """`apdu`, if a client may send it now; else ProtocolError."""
        kind = type(apdu)
        if kind is InitializeRequest:
            if self._state is not _State.NEW:
                raise ProtocolError("a second InitializeRequest")
            self._state = _State.INITIALIZING
        elif self._state is _State.NEW:
            raise ProtocolError(f"{kind.__name__} before InitializeRequest")
        elif kind not in _REQUESTS:
            raise ProtocolError(f"{kind.__name__} from a client")
        return cast(Request, apdu)

    def _end(self, item: Request | Close | ProtocolError) -> None:
        """Answer the peer's Close, or end because of what it did wrong."""
        if isinstance(item, ProtocolError):
            self.close(CloseReason.PROTOCOL_ERROR, str(item))
        elif isinstance(item, Close):
            self.peer_close = item
            # A peer that sends Close in version 2 knows the APDU: it is answered.
            self.send(Close(reference_id=item.reference_id, close_reason=CloseReason.FINISHED))

    def _shut(self) -> None:
        self._state = _State.CLOSED
        self._queue = None
        self._framer = _DRAINED


_REQUESTS = frozenset(get_args(Request))
_OPEN = _State.OPEN
_KNOWN = KnownRequests()

# A closed association takes no more octets, so it needs no framer of its own.
_DRAINED = Framer(0)
