"""A blocking client of riskd's socket: questions, or one subscription."""

import errno
import math
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

import msgspec

from ..actors.messages import (
    AnyPush,
    AnyReply,
    Command,
    Error,
    Refused,
    Subscribe,
    Subscribed,
    Told,
)

REPLY_BYTES_MAX = 16 * 1024 * 1024
"""A reply that is larger than any riskd's: the other end is no riskd, or a broken one."""
CHUNK_BYTES = 65_536

T = TypeVar("T")

Unreachable = Literal["no_such_file", "refused", "permission", "timeout", "closed", "unusable_path"]
_WORDS: dict[Unreachable, str] = {
    "no_such_file": "there is no such socket",
    "refused": "nobody listens there",
    "permission": "this user may not open it",
    "timeout": "no answer in time",
    "closed": "the connection ended before the answer",
    "unusable_path": "this can't be the path of a socket",
}
_REASONS: dict[int, Unreachable] = {
    errno.ENOENT: "no_such_file",
    errno.ENOTDIR: "no_such_file",
    errno.ECONNREFUSED: "refused",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EAGAIN: "timeout",
    errno.ETIMEDOUT: "timeout",
    errno.ECONNRESET: "closed",
    errno.EPIPE: "closed",
}


class NotReachable(Exception):
    """No answer. When `sent`, riskd may have read the command, and its fate is not known."""

    def __init__(self, path: Path, reason: Unreachable, *, sent: bool = False) -> None:
        super().__init__(f"riskd is not reachable at {path}: {_WORDS[reason]}")
        self.path = path
        self.reason = reason
        self.sent = sent


class ProtocolError(Exception):
    """An answer came that this client can't read. The two ends are of different versions."""


class NotSubscribed(Exception):
    """riskd said no to a subscription, or can't go on with it: `reply` has the code and the why."""

    def __init__(self, reply: Refused | Error) -> None:
        super().__init__(reply.message)
        self.reply = reply


class News(NamedTuple):
    """One push. ONCE IT HAS BEEN DEALT WITH, a later subscription goes on from `lsn + 1`."""

    lsn: int
    stored: bytes | None
    """The fact's line as the journal holds it. None: up to here nothing else was chosen."""


class Client:
    """One connection. After NotReachable or ProtocolError it is closed and stays so."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        """Connect. `timeout_s` bounds this, and then each question."""
        self._path = path
        self._timeout_s = timeout_s
        self._last_id = 0
        self._received = bytearray()
        self._replies: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
        self._pushes: msgspec.json.Decoder[AnyPush | Error] = msgspec.json.Decoder(AnyPush | Error)
        self._socket = self._connect()

    def ask(self, command: Command) -> AnyReply:
        """The reply to this command. A reply may be a refusal or an error; that is an answer too.

        The command's own id is replaced, so that an answer can't be taken for another's.
        """
        self._last_id += 1
        numbered = msgspec.structs.replace(command, id=self._last_id)
        deadline = time.monotonic() + self._timeout_s
        try:
            self._send(msgspec.json.encode(numbered) + b"\n", deadline)
            return self._read_reply(deadline)
        except BaseException:
            self.close()
            raise

    def subscribe(self, command: Subscribe) -> Iterator[News]:
        """What riskd tells from now on; the connection is for nothing else then.

        The reply is awaited here, as that of any question; the news may take as long as they like.
        Raises NotSubscribed here when riskd says no, and later when it can't go on. The iteration
        has no end of its own: NotReachable says that the connection has one.
        """
        reply = self.ask(command)
        if isinstance(reply, Subscribed):
            return self._news(self._last_id)
        self.close()
        if isinstance(reply, Refused | Error):
            raise NotSubscribed(reply)
        raise ProtocolError(f"{self._path}: a subscription was answered by something else")

    def _news(self, about: int) -> Iterator[News]:
        head = b'{"type":"recorded","id":%d,' % about
        try:
            while True:
                line = self._read_line(math.inf)
                push = self._decoded(line, self._pushes)
                if isinstance(push, Error):
                    raise NotSubscribed(push)
                is_fact = isinstance(push, Told)
                if push.id != about or is_fact != line.startswith(head):
                    raise ProtocolError(f"{self._path}: news that were not subscribed to")
                yield News(push.lsn, b"{" + line[len(head) :] if is_fact else None)
        finally:
            self.close()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A blocking connect with the kernel's own time limit waits for a place in the queue.
            # With Python's time limit the socket doesn't block, and a full queue fails at once.
            seconds = max(self._timeout_s, 0.001)
            limit = struct.pack("ll", int(seconds), int(math.modf(seconds)[0] * 1e6))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            connection.connect(os.fspath(self._path))
        except OSError as error:
            connection.close()
            reason = _REASONS.get(error.errno or 0, "unusable_path")
            raise NotReachable(self._path, reason) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _send(self, line: bytes, deadline: float) -> None:
        unsent = memoryview(line)
        try:
            while unsent:
                self._await_until(deadline)
                unsent = unsent[self._socket.send(unsent) :]
        except (BrokenPipeError, ConnectionResetError):
            # riskd has closed this end, and may have said why before: reading will tell.
            return
        except OSError as error:
            raise self._lost(error) from error

    def _read_reply(self, deadline: float) -> AnyReply:
        reply = self._decoded(self._read_line(deadline), self._replies)
        # Without an id it is about the connection: riskd says why it is going to close it.
        if reply.id not in (self._last_id, None):
            raise ProtocolError(f"{self._path}: an answer to a question that was not asked")
        return reply

    def _decoded(self, line: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"{self._path}: unreadable answer: {error}") from error

    def _read_line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > REPLY_BYTES_MAX:
                raise ProtocolError(f"{self._path}: an answer of over {REPLY_BYTES_MAX} bytes")
            try:
                self._await_until(deadline)
                chunk = self._socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise self._lost(error) from error
            if not chunk:
                raise NotReachable(self._path, "closed", sent=True)
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _await_until(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "no answer in time")
        self._socket.settimeout(None if deadline == math.inf else remaining)

    def _lost(self, error: OSError) -> NotReachable:
        timed_out = isinstance(error, TimeoutError)
        reason = "timeout" if timed_out else _REASONS.get(error.errno or 0, "closed")
        return NotReachable(self._path, reason, sent=True)
