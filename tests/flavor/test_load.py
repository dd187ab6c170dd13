"""Opening a model imports what answers rows, and neither training nor tuning."""

import json

import forked_programs
import pandas as pd
import pytest

import metamodel

pytestmark = pytest.mark.tableless

_ANSWERING = {"bundle", "common", "evaluation", "exceptions", "flavor", "prediction", "tables"}


def test_opening_a_model_and_asking_it_imports_nothing_that_trains(tmp_path):
    rows = pd.DataFrame({"store": [1, 1, 1, 2, 2, 2], "x": [1.0, 2.0, 4.0] * 2, "y": [1.0, 2.0, 3.0] * 2})
    metamodel.train(rows, "store", "y", n_jobs=1, holdout=0, output_dir=tmp_path / "bundle")
    rows.to_parquet(tmp_path / "rows.parquet")
    program = f"""
{forked_programs.anew("metamodel")}
import json
import pandas as pd
import metamodel
rows = pd.read_parquet({str(tmp_path / "rows.parquet")!r})
answers = metamodel.load_model({str(tmp_path / "bundle")!r}).predict(rows)
assert answers["prediction"].notna().all()
print(json.dumps(sorted(name for name in sys.modules if name.startswith("metamodel."))))
"""
    done = forked_programs.run("program_text", program)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout)
    assert {name.split(".")[1] for name in modules} == _ANSWERING, modules
