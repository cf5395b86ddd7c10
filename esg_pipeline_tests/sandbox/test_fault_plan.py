"""Whom a fault hits: known beforehand, never two at once, and never a guess at what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.sandbox import FAULTS, Behaviour, BehaviourError, FaultPlan, FaultPlanError
from esg_pipeline.sandbox.fault_plan import PlannedFault, read_fault_options

IDS = [f"A{number}" for number in range(5000)]


def hit_by(plan, name):
    return {each for each in IDS if (p := plan.fault_for(each)) is not None and p.name == name}


def test_a_share_hits_that_share_of_the_accounts_and_always_the_same():
    plan = FaultPlan({"http_500": 0.1, "timeout": 0.05})
    assert len(hit_by(plan, "http_500")) / len(IDS) == pytest.approx(0.1, abs=0.02)
    assert len(hit_by(plan, "timeout")) / len(IDS) == pytest.approx(0.05, abs=0.02)
    again = FaultPlan({"timeout": 0.05, "http_500": 0.1})
    assert hit_by(again, "timeout") == hit_by(plan, "timeout")


@given(st.dictionaries(st.sampled_from(sorted(FAULTS)), st.floats(0, 0.1), max_size=9), st.text())
def test_shares_never_hit_an_account_twice_and_0_hits_nobody(shares, account_id):
    planned = FaultPlan(shares).fault_for(account_id)
    assert planned is None or shares[planned.name] > 0


def test_a_share_of_1_hits_everybody():
    assert hit_by(FaultPlan({"drip": 1}), "drip") == set(IDS)


def test_named_accounts_go_before_the_shares():
    plan = FaultPlan({"drip": 1}, {"A1": "nan", "A2": "http_500:2"})
    assert plan.fault_for("A1") == PlannedFault("nan")
    assert plan.fault_for("A2") == PlannedFault("http_500", first_calls=2)
    assert plan.fault_for("A3") == PlannedFault("drip")


def test_options_read_as_shares():
    shares = read_fault_options(["http_500=0.02:1", "timeout=0.01"])
    assert shares == {"http_500": "0.02:1", "timeout": "0.01"}
    assert FaultPlan({"http_500": "1:3"}).fault_for("A1") == PlannedFault("http_500", 3)


@pytest.mark.parametrize(
    ("shares", "complaint"),
    [
        ({"http_5OO": 0.1}, "unknown fault 'http_5OO'; there are: http_400,"),
        ({"nan": 1.5}, "'1.5' is not a share from 0 to 1"),
        ({"nan": "some"}, "'some' is not a share"),
        ({"nan": "nan"}, "'nan' is not a share"),
        ({"nan": "0.1:x"}, "'x' after the colon must be a number"),
        ({"nan": 0.6, "bom": 0.6}, "add up to 1.2"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(shares, complaint):
    with pytest.raises(FaultPlanError, match=complaint):
        FaultPlan(shares)


def test_an_option_without_a_share_is_refused():
    with pytest.raises(FaultPlanError, match="NAME=SHARE"):
        read_fault_options(["http_500"])


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_limit": 0},
        {"rate_limit": "5"},
        {"latency_s": -1},
        {"latency_s": [2, 1]},
        {"speed": 1},
    ],
)
def test_a_behaviour_that_makes_no_sense_is_refused_by_name(changes):
    with pytest.raises(BehaviourError, match=next(iter(changes))):
        Behaviour().changed(changes)
