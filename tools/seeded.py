"""A schedule that a seed decides, and a tree that crashes at random under it.

`python -m riskd.tools.seeded SEED` prints what happened, line by line. The same seed prints the
same lines in every process: a failure that a test finds is a seed and a commit, and can be looked
at again.
"""

import contextlib
from collections.abc import Iterator, Sequence
from random import Random

import attrs
import click
import trio
from trio.testing import MockClock

from ..actors.messages import Fact
from ..supervisor.tree import (
    Backoff,
    ChildSpec,
    Context,
    Escalated,
    FailedToStart,
    Ports,
    Supervisor,
)
from ..supervisor.tree.spec import RestartType

DURATION_S = 30.0
"""Of a run, on a clock that jumps: long enough for a budget to be used up at each level."""
BACKOFF = Backoff(first=0.2, cap=2.0)


@contextlib.contextmanager
def seeded_schedule(seed: int) -> Iterator[None]:
    """Let the seed choose which of the tasks that could run runs first. For one run of Trio.

    Trio has this for its own tests and keeps it private. A test fails when a release takes it away.
    """
    schedule = vars(trio._core._run)  # noqa: SLF001 - see above
    random: Random = schedule["_r"]
    before = schedule["_ALLOW_DETERMINISTIC_SCHEDULING"], random.getstate()
    schedule["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    random.seed(seed)
    try:
        yield
    finally:
        schedule["_ALLOW_DETERMINISTIC_SCHEDULING"] = before[0]
        random.setstate(before[1])


def trace(seed: int) -> list[str]:
    """What happens to a tree of three levels whose children crash at random."""
    story = _Story(seed)
    with seeded_schedule(seed):
        trio.run(story.run, clock=MockClock(autojump_threshold=0))
    return story.lines


@attrs.define
class _Story:
    """One run, written down as it happens."""

    seed: int
    lines: list[str] = attrs.field(factory=list)

    def tell(self, text: str) -> None:
        self.lines.append(f"{trio.current_time():7.3f} {text}")

    def record(self, fact: Fact) -> None:
        tag = str(type(fact).__struct_config__.tag)
        fields = [str(getattr(fact, name)) for name in fact.__struct_fields__]
        self.tell(" ".join([tag, *fields]))

    def stuck(self, path: str, _stack: Sequence[str]) -> None:
        self.tell(f"stuck {path}")

    async def run(self) -> None:
        tree = self._tree()
        try:
            with trio.move_on_after(DURATION_S):
                await tree.run()
        except (Escalated, FailedToStart) as end:
            self.tell(f"end {end}")
        else:
            self.tell("end stopped")
        assert tree.count_children().active == 0, "a supervisor that is over has no children"

    def _tree(self) -> Supervisor:
        low = Supervisor(
            [self._worker("x", backoff=BACKOFF), self._worker("y"), self._worker("z")],
            strategy="one_for_all",
            intensity=2,
        )
        jobs = Supervisor([self._worker(name, "temporary") for name in "jkl"], strategy="dynamic")
        middle = Supervisor(
            [self._worker("m"), _below("low", low), _below("jobs", jobs), self._worker("n")],
            intensity=3,
        )
        return Supervisor(
            [self._worker("a"), _below("middle", middle), self._worker("b", "transient")],
            strategy="rest_for_one",
            intensity=4,
            name="top",
            total=20.0,
            ports=Ports(record=self.record, chance=_seeded(self.seed).random, stuck=self.stuck),
        )

    def _worker(
        self, name: str, restart: RestartType = "permanent", *, backoff: Backoff | None = None
    ) -> ChildSpec:
        return ChildSpec(
            name, self._life, restart=restart, shutdown=1.0, start_timeout=1.0, backoff=backoff
        )

    async def _life(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """One incarnation: its fate is drawn from the seed and its name alone."""
        fate = _seeded(f"{self.seed}/{ctx.path}/{ctx.incarnation}")
        # A tree whose first start fails has nothing more to tell.
        failing = 0.01 if ctx.incarnation == 1 else 0.15
        self.tell(f"up {ctx.path}#{ctx.incarnation}")
        try:
            await trio.sleep(fate.choice((0.0, 0.0, 0.1, fate.uniform(0, 1 + failing))))
            if fate.random() < failing:
                raise RuntimeError("can't start")
            task_status.started()
            await trio.sleep(fate.expovariate(1 / 15))
            if fate.random() < 0.7:
                raise RuntimeError("crashed")
        finally:
            try:
                with ctx.cleanup():
                    await trio.sleep(fate.uniform(0, 1.5))
            finally:
                self.tell(f"down {ctx.path}#{ctx.incarnation}")


def _seeded(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311 - it must be the same each time, which no secret may be


def _below(name: str, tree: Supervisor) -> ChildSpec:
    return ChildSpec(name, tree.run, kind="supervisor", shutdown=4.0)


@click.command()
@click.argument("seed", type=int)
def main(seed: int) -> None:
    """Print what happens under SEED."""
    for line in trace(seed):
        click.echo(line)


if __name__ == "__main__":
    main()
