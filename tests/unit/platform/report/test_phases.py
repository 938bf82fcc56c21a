"""The section and the chart of class-incremental learning."""

import json

from fedzda.platform.report import figures
from fedzda.platform.report.charts import phases as chart
from fedzda.platform.report.data import collect
from fedzda.platform.scenario.metrics import describe_phases

from .make_run import make_run, page_of


def with_phases(folder, played=3):
    found = describe_phases([[9, 10, 0], [4, 6, 10], [2, 6, 5]][:played], [10] * 3, [1, 2, 3])
    found |= {"last_rounds": [2, 4, 6][:played], "phases": 3}
    (folder / "artifacts" / "incremental.json").write_text(json.dumps(found))
    return folder


def test_a_run_without_phases_says_nothing_about_them(tmp_path):
    page = page_of(make_run(tmp_path / "run"))
    assert "What is left of earlier classes" not in page
    assert chart.draw(collect(tmp_path / "run")) is None


def test_the_section_and_the_chart(tmp_path):
    run = with_phases(make_run(tmp_path / "run"))
    page = page_of(run)
    assert "What is left of earlier classes" in page
    assert "Average incremental accuracy 61.1" in page
    drawn = chart.draw(collect(run))
    assert [row[1] for row in drawn.rows] == ["90.0\u00a0%", "50.0\u00a0%", "43.3\u00a0%"]
    assert drawn.rows[0][2] == "–"
    assert "old classes end at 40.0 %" in drawn.alt
    assert [path.name for path in figures.save(drawn, tmp_path)] == ["phases.png", "phases.pdf"]


def test_one_phase_is_a_row_and_no_chart(tmp_path):
    run = with_phases(make_run(tmp_path / "run"), played=1)
    assert "What is left of earlier classes" in page_of(run)
    assert chart.draw(collect(run)) is None


def test_a_second_rule_is_a_column(tmp_path):
    run = with_phases(make_run(tmp_path / "run"))
    path = run / "artifacts" / "incremental.json"
    found = json.loads(path.read_text())
    assert "By nearest mean" not in page_of(run)
    path.write_text(json.dumps({**found, "accuracy_nme": [0.123, 0.4, 0.5]}))
    page = page_of(run)
    assert "By nearest mean" in page
    assert "12.3\u00a0%" in page
    path.write_text(json.dumps({**found, "accuracy_classifier": [0.1, 0.4, 0.5]}))
    assert "By classifier" in page_of(run)
