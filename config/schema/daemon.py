"""The daemon itself, its socket, its actors, its journal, and who may do what."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from ..paths import SOCKET_PATH_BYTES_MAX, socket_path_excess
from .base import ID_MAX, RESTART, Days, Disagreement, FilePath, Group, Section, User


class Riskd(Section, frozen=True, kw_only=True):
    """The daemon itself."""

    state_dir: Annotated[
        FilePath | None,
        Meta(
            description="Where riskd keeps what it must remember. Unset: `$XDG_STATE_HOME/riskd`, "
            "else `~/.local/state/riskd`, and `/var/lib/riskd` for a root without a home.",
            examples=["/var/lib/riskd"],
            extra_json_schema=RESTART,
        ),
    ] = None
    socket: Annotated[
        FilePath | None,
        Meta(
            description="The control socket. Unset: `$RISKD_SOCKET`, else "
            "`$XDG_RUNTIME_DIR/riskd/riskd.sock`, else `/run/riskd/riskd.sock` for root and "
            "`~/.local/state/riskd/riskd.sock` for others. riskctl looks in the same places.",
            examples=["/run/riskd/riskd.sock"],
            extra_json_schema=RESTART,
        ),
    ] = None
    stop_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds for the whole ordered stop. What is still there then is ended.",
            extra_json_schema=RESTART,
        ),
    ] = 30.0
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(
            description="How log lines look. `auto` is `console` on a terminal, else `json`.",
            extra_json_schema=RESTART,
        ),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important events that are logged."),
    ] = "info"

    def disagreements(self) -> Iterator[Disagreement]:
        """A socket's path is counted in bytes, which no pattern can do."""
        if excess := socket_path_excess(self.socket or ""):
            yield Disagreement(
                "socket",
                f"is {excess} bytes longer than the {SOCKET_PATH_BYTES_MAX} that Linux takes",
                "choose a shorter path",
            )


class Control(Section, frozen=True, kw_only=True):
    """The control socket and its clients."""

    max_clients: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            description="Connections at one time. Beyond them the client that was silent longest "
            "makes room, or the new one is turned away.",
            extra_json_schema=RESTART,
        ),
    ] = 4096
    max_line_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=16 * 1024 * 1024,
            description="Bytes of the longest line. A client that sends a longer one is told so "
            "and disconnected.",
            extra_json_schema=RESTART,
        ),
    ] = 65536
    send_timeout_s: Annotated[
        float,
        Meta(
            ge=0.01,
            le=3600,
            description="Seconds in which a client must take what it is sent, or lose its "
            "connection.",
            extra_json_schema=RESTART,
        ),
    ] = 10.0


class Supervision(Section, frozen=True, kw_only=True):
    """When an actor is restarted, and when riskd gives up on it."""

    intensity: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Failures within `period_s` that lead to a restart. The next one climbs "
            "to the supervisor above; at the top riskd ends.",
            extra_json_schema=RESTART,
        ),
    ] = 5
    period_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86400,
            description="Seconds for which a failure counts.",
            extra_json_schema=RESTART,
        ),
    ] = 60.0
    heartbeat_interval_s: Annotated[
        float, Meta(ge=0.01, le=3600, description="Seconds between two heartbeats of an actor.")
    ] = 1.0
    heartbeat_timeout_s: Annotated[
        float, Meta(ge=0.01, le=3600, description="Seconds in which an actor answers a heartbeat.")
    ] = 2.0
    heartbeat_misses: Annotated[
        int, Meta(ge=1, le=100, description="Heartbeats missed in a row that make an actor silent.")
    ] = 2
    redeliveries: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Crashes on the same message after which it is quarantined.",
            extra_json_schema=RESTART,
        ),
    ] = 3

    def disagreements(self) -> Iterator[Disagreement]:
        """Silence must be noticed while the failure before it still counts.

        Otherwise an actor that hangs after each restart is restarted for ever, and never climbs.
        """
        notice_s = (self.heartbeat_misses - 1) * self.heartbeat_interval_s
        notice_s += self.heartbeat_timeout_s
        if notice_s > self.period_s:
            yield Disagreement(
                "period_s",
                f"is shorter than the {notice_s:g} s in which a silent actor is noticed, so one "
                "that hangs after each restart would never be given up",
                f"raise it to {notice_s:g} or more, or lower the heartbeat_ keys",
            )


class Journal(Section, frozen=True, kw_only=True):
    """What riskd remembers, and how safely. It lies in `journal/` in the state directory."""

    durability: Annotated[
        Literal["process", "power"],
        Meta(
            description="What riskd waits for before it acts on what it has decided. `process`: "
            "the kernel has it, and a killed riskd loses nothing; a power cut may take the last "
            "moments. `power`: the disk has it. What loosens a limit or lifts a halt always waits "
            "for the disk.",
            extra_json_schema=RESTART,
        ),
    ] = "process"
    segment_mib: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            description="Mebibytes of one file of the journal. One more is kept ready on the disk. "
            "A start reads the last one or two whole.",
            extra_json_schema=RESTART,
        ),
    ] = 16
    snapshot_facts: Annotated[
        int,
        Meta(
            ge=1_000,
            le=10_000_000,
            description="A snapshot is made after so many facts. A start reads the newest one and "
            "the facts behind it.",
            extra_json_schema=RESTART,
        ),
    ] = 100_000
    archive_days: Annotated[
        Days | None,
        Meta(
            description="Days that segments which no start needs are kept for, compressed, in "
            "`journal/archive/`. Unset: for ever.",
            examples=[90.0],
            extra_json_schema=RESTART,
        ),
    ] = None
    slow_sync_ms: Annotated[
        float,
        Meta(
            gt=0,
            le=60_000,
            description="A sync of the journal that takes longer is warned about, by its file.",
            extra_json_schema=RESTART,
        ),
    ] = 100.0
    free_mib: Annotated[
        int,
        Meta(
            ge=1,
            le=1_048_576,
            description="With less free space on the journal's disk, in mebibytes, riskd warns.",
            extra_json_schema=RESTART,
        ),
    ] = 512


class Security(Section, frozen=True, kw_only=True):
    """Who may do what over the control socket, by the user the kernel names."""

    group: Annotated[
        Group | None,
        Meta(
            description="The group, by name or number, whose members can reach the socket at all; "
            "what each may do there is said below. Unset: riskd's own user and root alone.",
            examples=["traders"],
            extra_json_schema=RESTART,
        ),
    ] = None
    operators: Annotated[
        tuple[User, ...],
        Meta(
            max_length=1024,
            description="Users, by name or number, who may act. riskd's own user and root always "
            "may.",
            extra_json_schema=RESTART,
        ),
    ] = ()
    observers: Annotated[
        tuple[User, ...],
        Meta(
            max_length=1024,
            description="Users, by name or number, who may look and not act.",
            extra_json_schema=RESTART,
        ),
    ] = ()

    two_person: Annotated[
        bool,
        Meta(
            description="What loosens needs two: a recovery, and the lifting of a halt, must name "
            "as its approver another of those who may act than the one who asks.",
            extra_json_schema=RESTART,
        ),
    ] = False

    def disagreements(self) -> Iterator[Disagreement]:
        """A user has one role, the file must say which, and the user must be let in."""
        for key in ("operators", "observers"):
            if getattr(self, key) and self.group is None:
                yield Disagreement(
                    key,
                    "names users who can't reach the socket, which is its owner's alone",
                    "name a group that they are in as security.group",
                )
        for key, names in (
            ("group", (self.group or "",)),
            ("operators", self.operators),
            ("observers", self.observers),
        ):
            if any(name.isdecimal() and int(name) > ID_MAX for name in names):
                yield Disagreement(
                    key, "has a number that nobody can have", f"numbers go up to {ID_MAX}"
                )
        if set(self.operators) & set(self.observers):
            yield Disagreement(
                "observers",
                "names a user who is among the operators",
                "leave each user in one of the two lists",
            )
