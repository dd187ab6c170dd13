"""Where things are in this checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SUPPORT = TESTS / "support"
DATA = TESTS / "data"
# For processes that tests start: they find the children of these tests, and this very checkout.
IMPORTS = os.pathsep.join([str(SUPPORT), str(ROOT)])
