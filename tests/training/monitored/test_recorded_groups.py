import numpy as np

from metamodel.training.monitored.recorded_groups import replayed_groups


def test_of_few_groups_all_are_replayed_and_of_many_about_as_many_as_are_enough() -> None:
    keys = [f'["DE",{i}]' for i in range(10_000)]

    assert replayed_groups(keys[:4000]).all()
    chosen = replayed_groups(keys, most=1000)
    assert 900 < chosen.sum() < 1100


def test_the_choice_of_a_group_depends_on_its_key_and_on_how_many_there_are() -> None:
    keys = np.array([f'["DE",{i}]' for i in range(5000)], dtype=object)
    order = np.random.default_rng(0).permutation(5000)

    np.testing.assert_array_equal(replayed_groups(keys[order].tolist()), replayed_groups(keys.tolist())[order])
