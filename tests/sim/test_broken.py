"""The simulator is worth what it finds: every known mistake, put into the rules, is found within a few hundred seeds.

Once with all laws, and once with those only whose breach a user could see: then a mistake is not recognised by how it is made,
but by what it leads to. An assertion in the rules does not count: the mistake is to be found where none was thought of.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.broken import VARIANTS
from tests.sim.campaign import campaign, shrunk
from tests.sim.run import Outcome, run
from tests.sim.script import parse

MISTAKES = sorted(name for name in VARIANTS if name)
# A pre-vote asks for a term that the voter has not reached, so who forgot a vote is asked for it again in a transfer only.
UNSEEN = {"forgets votes"}
SEEDS_MAX = 500


def first_breach(broken: str, *, inner: bool) -> Outcome:
    for outcome in campaign(range(SEEDS_MAX), broken=broken, inner=inner):
        if outcome.breach and outcome.law != "progress":
            return outcome
    raise AssertionError(f"{broken}: not found in {SEEDS_MAX} seeds")


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_mistake_is_found(broken: str) -> None:
    assert first_breach(broken, inner=True).failure


@pytest.mark.parametrize("broken", sorted(set(MISTAKES) - UNSEEN))
def test_a_mistake_is_found_by_what_it_leads_to(broken: str) -> None:
    assert first_breach(broken, inner=False).failure


def test_members_whose_commands_are_the_same_and_whose_states_are_not_have_other_digests() -> None:
    """Found at the entry where it happens, before any snapshot tells."""
    outcomes = campaign(range(SEEDS_MAX), broken="forgets what it applied", inner=False)
    assert any(outcome.law == "one state" for outcome in outcomes)


def test_figure_8_of_the_paper() -> None:
    script = parse((Path(__file__).parent / "scripts" / "figure-8.txt").read_text("utf-8"))
    assert run(script, inner=False, host_of=VARIANTS["commits old terms by count"]).law == "leader completeness"
    assert not run(script).failure


def test_a_failure_shrinks_to_a_script_that_fails_alike() -> None:
    broken = "reads without quorum"
    found = first_breach(broken, inner=False)
    short = shrunk(found, broken=broken, inner=False)
    assert short.law == found.law
    assert len(short.script.actions) <= 12 < len(found.script.actions)
    again = run(parse(str(short.script)), traced=True, inner=False, host_of=VARIANTS[broken])
    assert again.trace_hash == short.trace_hash
