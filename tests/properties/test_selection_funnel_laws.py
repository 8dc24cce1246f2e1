"""Laws of the funnel: counts add up, whatever happened to each."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.selection.funnel import STAGES, Passage, funnel

passages = st.lists(
    st.builds(
        Passage,
        id=st.text(min_size=1, max_size=4),
        last=st.sampled_from(STAGES),
        reason=st.sampled_from(["a", "b", "c"]),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(passages)
def test_a_stage_is_the_next_one_and_what_was_left_there(found: list[Passage]) -> None:
    made = funnel(found)
    for stage, after in pairwise(STAGES):
        assert made.counts[stage] == made.counts[after] + sum(len(ids) for ids in made.left[after].values())


@settings(deadline=None, max_examples=60)
@given(passages)
def test_everything_received_is_counted_once_and_a_funnel_only_narrows(found: list[Passage]) -> None:
    made = funnel(found)
    counts = [made.counts[stage] for stage in STAGES]
    assert counts[0] == len(found)
    assert counts == sorted(counts, reverse=True)
    stopped = sum(len(ids) for reasons in made.left.values() for ids in reasons.values())
    assert stopped + counts[-1] == len(found)


@settings(deadline=None, max_examples=50)
@given(passages, st.randoms())
def test_the_order_changes_no_count(found: list[Passage], random) -> None:  # type: ignore[no-untyped-def]
    mixed = list(found)
    random.shuffle(mixed)
    assert funnel(mixed).counts == funnel(found).counts


def test_nothing_received_is_zero_at_every_stage() -> None:
    made = funnel([])
    assert set(made.counts.values()) == {0}
    assert all(reasons == {} for reasons in made.left.values())
