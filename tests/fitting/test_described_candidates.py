"""What a bundle says of candidates: what holds for all of a name."""

import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from metamodel.fitting.described_candidates import described_candidates
from metamodel.fitting.spec import Candidate


def test_a_method_is_said_only_where_every_candidate_of_the_name_has_it() -> None:
    first, second = Candidate("one", LogisticRegression(), "first", ""), Candidate("one", SVC(), "second", "")
    said = described_candidates([first, second], {})["one"]
    assert not said["predict_proba"]
    assert said["decision_function"]
    assert said["estimator"] == first.label


@pytest.mark.parametrize(("columns", "said"), [([2, 2], 2), ([2, 3], 3), ([2, 0], 0), ([], 0)])
def test_columns_of_transform_are_those_that_every_child_gives(columns: list[int], said: int) -> None:
    candidate = Candidate("pca", make_pipeline(PCA(2), Ridge()), "pipeline", "")
    assert described_candidates([candidate], {"pca": columns})["pca"]["transform"] == said
