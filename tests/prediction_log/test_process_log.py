"""A process has one log of the same settings, which is written at its orderly end."""

from pathlib import Path

import forked_programs
from logged_rows import rows_in, settings_in

from metamodel.prediction_log.process_log import process_log

PROGRAM = """
import sys
from pathlib import Path
from logged_rows import answered, frame_of, settings_in
from metamodel.prediction_log.process_log import process_log
process_log(settings_in(Path(sys.argv[1]))).put(answered(frame_of(5)))
"""


def test_models_of_one_process_share_a_log(tmp_path: Path):
    assert process_log(settings_in(tmp_path)) is process_log(settings_in(tmp_path))
    assert process_log(settings_in(tmp_path)) is not process_log(settings_in(tmp_path, sample=0.5))


def test_at_the_end_of_a_program_the_queue_is_written(tmp_path: Path):
    assert forked_programs.run("program_text", PROGRAM, str(tmp_path)).returncode == 0
    assert len(rows_in(tmp_path)) == 5
