"""The page that ranks: its file, its errors, and the command that serves it. tests/browser opens it for real."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from nasviz.resources import dashboards_folder, voila_folder
from nasviz.views import guarded, ranking_dashboard, voila_command, voila_environment
from nasviz.views.dashboard import split_variants


@pytest.fixture
def ranking_file(scores, table, tmp_path):
    fine_tuned = scores.assign(score=table["accuracy"]).drop(index=[0, 1])  # two labels served to fine-tune
    frames = [
        pd.concat([table, scores.assign(variant="zero-shot", x0=0.5)], axis=1),
        pd.concat([table, fine_tuned.assign(variant="fine-tuned")], axis=1, join="inner").sample(
            frac=1, random_state=0
        ),
    ]
    path = tmp_path / "ranking.parquet"
    pd.concat(frames).to_parquet(path)
    return path


def test_the_page_joins_the_variants_by_network(ranking_file, table, monkeypatch):
    monkeypatch.setenv("NASVIZ_RANKING", str(ranking_file))
    view = ranking_dashboard()
    assert view.state.family == "nb101"
    assert list(view.metrics["column"].unique()) == ["score", "CL+T", "FLOPs"]
    parts = [view.export_table()]
    view.state.family = "nb201"
    exported = pd.concat([*parts, view.export_table()]).set_index("arch")
    assert len(exported) == 58
    truth = table.set_index("arch")["accuracy"][exported.index]
    np.testing.assert_allclose(exported["accuracy"], truth)
    np.testing.assert_allclose(exported["fine-tuned: score"], truth)  # though its rows came in another order


def test_a_predicted_accuracy_is_drawn(scores, table):
    frame = pd.concat([table, scores], axis=1).assign(variant="v", predicted_accuracy=scores["CL+T"])
    _, variants = split_variants(frame)
    assert list(variants["v"]) == ["score", "CL+T", "FLOPs", "accuracy"]


def test_a_column_that_a_variant_lacks_is_left_out(scores, table):
    frames = [pd.concat([table, scores], axis=1).assign(variant="a")]
    frames += [pd.concat([table, scores[["score"]]], axis=1).assign(variant="b")]
    _, variants = split_variants(pd.concat(frames))
    assert list(variants["b"]) == ["score"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="variant"), "lacks variant"),
        (lambda frame: frame[:0], "no network in common"),
        (lambda frame: frame.assign(variant=frame["arch"]), "no network in common"),
    ],
)
def test_a_file_that_is_no_ranking(scores, table, change, message):
    frame = pd.concat([table, scores], axis=1).assign(variant="a")
    with pytest.raises(ValueError, match=message):
        split_variants(change(frame))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="NASVIZ_RANKING"):
        ranking_dashboard(tmp_path / "none.parquet")


def test_a_page_that_fails_says_why(caplog):
    def build():
        raise ValueError("the <ranking> lacks score.")

    shown = guarded(build)
    assert "ValueError: the &lt;ranking&gt; lacks score." in shown.value
    assert 'role="alert"' in shown.value
    assert caplog.records[0].exc_info
    assert guarded(lambda: 42) == 42


def test_the_command(monkeypatch):
    command = voila_command("page.ipynb", 4321, browser=False)
    assert command[1:4] == ["-m", "voila", "page.ipynb"]
    assert {"--template=nasviz", "--Voila.ip=127.0.0.1", "--port=4321", "--no-browser"} <= set(command)
    assert "--no-browser" not in voila_command("page.ipynb")
    monkeypatch.setenv("JUPYTER_PATH", "elsewhere")
    assert voila_environment()["JUPYTER_PATH"].split(os.pathsep) == [str(voila_folder()), "elsewhere"]
    monkeypatch.delenv("JUPYTER_PATH")
    assert voila_environment()["JUPYTER_PATH"] == str(voila_folder())


def test_the_template_names_no_other_computer():
    template = (voila_folder() / "voila" / "templates" / "nasviz" / "index.html.j2").read_text(encoding="utf-8")
    assert "http" not in template
    assert "super.super()" in template


def test_the_notebook_has_one_root_widget_and_no_outputs():
    notebook = json.loads((dashboards_folder() / "ranking.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 1
    assert code[0]["outputs"] == []
    assert notebook["metadata"]["title"] == "nasviz: ranking"


def test_the_bundled_ranking_opens(monkeypatch):
    monkeypatch.delenv("NASVIZ_RANKING", raising=False)
    view = ranking_dashboard()
    metrics = view.metrics.set_index(["variant", "column"])
    assert set(metrics.index.get_level_values("variant")) == {"zero-shot", "fine-tuned"}
    # it ranks better than chance, and is drawn in percent although its score only orders
    assert metrics["srcc"]["zero-shot"]["score"] > 0.3
    assert "%" in view.figure().layout.yaxis.title.text
