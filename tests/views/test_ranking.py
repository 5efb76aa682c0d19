"""The ranking view: places, ranks, tables and measures equal what one counts by hand, and follow the state."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from nasviz.views import Ranking, RankingState
from nasviz.views.ranking_figure import rank

N = 60


@pytest.fixture
def view(scores, table):
    better = scores.assign(score=table["accuracy"])
    return Ranking({"zero-shot": scores, "fine-tuned": better}, table["accuracy"], table=table)


def test_rank():
    assert rank(np.array([0.2, 0.9, 0.5, 0.9])).tolist() == [4, 1, 3, 1]


def test_first_paint(view, scores, table, shown):
    diagonal, networks, best = shown(view).data[:3]
    assert len(networks.x) + len(best.x) == N
    order = np.argsort(-scores["score"], kind="stable")[:10]
    np.testing.assert_allclose(best.x, 100 * table["accuracy"][order])
    np.testing.assert_allclose(best.y, 100 * scores["score"][order])
    assert diagonal.x == diagonal.y
    layout = shown(view).layout
    assert layout.xaxis.title.text == layout.xaxis2.title.text == "true accuracy (%)"
    assert layout.yaxis.title.text == "accuracy predicted by score (%)"
    assert layout.yaxis2.matches == "y"
    assert layout.xaxis2.matches == "x"
    expected = spearmanr(scores["score"], table["accuracy"]).statistic
    titles = [note.text for note in layout.annotations]
    assert titles == [f"<b>zero-shot: SRCC {expected:.3f}</b>", "<b>fine-tuned: SRCC 1.000</b>"]
    assert table["arch"][0].replace("|", "") in "".join(networks.customdata).replace("|", "")


def test_the_top_table_is_that_of_sorting(view, scores, table, read_table, shown):
    top = view.top["zero-shot"]
    by_score = scores["score"].sort_values(ascending=False).index[:10]
    assert list(top["arch"]) == list(table["arch"][by_score])
    assert list(top["predicted rank"]) == list(range(1, 11))
    true_ranks = table["accuracy"].rank(ascending=False)
    assert list(top["true rank"]) == list(true_ranks[by_score])
    header, rows, caption = read_table(view._top_boxes[0].value)
    assert header == ["predicted rank", "true rank", "accuracy", "predicted", "family", "arch"]
    assert [row[5] for row in rows] == list(top["arch"])
    assert rows[0][3] == f"{100 * scores['score'].max():.1f} %"
    assert caption == "zero-shot: top 10 by score"
    view.state.k = 50
    assert len(read_table(view._top_boxes[1].value)[1]) == 50
    assert len(shown(view).data[2].x) == 50


def test_the_measures_agree_with_scipy(view, scores, table, read_table):
    metrics = view.metrics.set_index(["variant", "column"])
    for column in scores:
        row = metrics.loc[("zero-shot", column)]
        assert row["srcc"] == pytest.approx(spearmanr(scores[column], table["accuracy"]).statistic)
        assert row["kendall"] == pytest.approx(kendalltau(scores[column], table["accuracy"]).statistic)
    error = (scores["CL+T"] - table["accuracy"]).abs().mean()
    assert metrics.loc[("zero-shot", "CL+T"), "mae"] == pytest.approx(error)
    assert np.isnan(metrics.loc[("zero-shot", "FLOPs"), "mae"])
    assert metrics.loc[("fine-tuned", "score"), "ndcg@10"] == pytest.approx(1)
    header, rows, _ = read_table(view._metrics_box.value)
    assert header == ["variant", "column", "srcc", "kendall", "ndcg@10", "ndcg@50", "mae"]
    assert rows[1][6] == f"{100 * error:.2f} %"
    assert rows[2][6] == "–"


def test_one_family(view, table, shown):
    view.state.family = "nb101"
    assert len(shown(view).data[1].x) + len(shown(view).data[2].x) == 25
    assert set(view.top["zero-shot"]["family"]) == {"nb101"}
    assert view.top["zero-shot"]["true rank"].max() <= 25
    assert "25 of 60 networks shown (nb101)" in view._status.value
    assert set(view.export_table()["family"]) == {"nb101"}
    view.state.family = "all"
    assert len(view.export_table()) == N


def test_what_is_shown_decides_how_it_is_drawn(view, shown, monkeypatch):
    """One family of a large table is few points: sharp SVG, which needs no graphics card."""
    for most, kind in ((2 * N, "scatter"), (2 * N - 1, "scattergl")):
        monkeypatch.setattr("nasviz.views.ranking.GL_FROM", most)
        view.redraw()
        assert {trace.type for trace in shown(view).data if trace.mode == "markers"} == {kind}
    view.state.family = "nb201"
    assert {trace.type for trace in shown(view).data} == {"scatter"}


def test_families_that_were_scored_apart_are_not_ranked_together(scores, table):
    view = Ranking(scores, table["accuracy"], table=table, across_families=False)
    assert view.state.family == "nb101"
    assert view._controls.children[0].options == (("nb101", "nb101"), ("nb201", "nb201"))
    one = table.assign(family="nb101")
    assert len(Ranking(scores, table["accuracy"], table=one, across_families=False).export_table()) == N


def test_ranks_against_ranks(view, table, scores, shown):
    view.state.ranks = True
    layout = shown(view).layout
    assert layout.xaxis.title.text == "true rank (1 = best)"
    assert layout.xaxis.autorange == layout.yaxis2.autorange == "reversed"
    x = np.concatenate([shown(view).data[1].x, shown(view).data[2].x])
    assert sorted(x) == list(range(1, N + 1))
    view.state.ranks = False
    assert shown(view).layout.xaxis.autorange is True


def test_a_score_that_is_no_accuracy_has_no_diagonal_and_no_percent(view, read_table, shown):
    view.state.column = "FLOPs"
    assert [trace.name for trace in shown(view).data[:2]] == ["networks", "predicted top 10"]
    assert shown(view).layout.yaxis.title.text == "score: FLOPs"
    assert read_table(view._top_boxes[0].value)[1][0][3].endswith(" M")
    view.state.column = "score"
    assert shown(view).data[0].name == "predicted = true"


@pytest.mark.parametrize("relative", [lambda x: -(x - x.mean()) / x.std(), lambda x: 1 - x.rank(pct=True)])
def test_a_score_that_only_orders_is_drawn_by_its_predicted_accuracy(scores, table, shown, relative):
    predicted = scores["score"]
    rest = {"low": 0.1, "high": 0.9, "membership_0": 0.5, "novelty": 1.0, "trust": 0.3}
    frame = pd.DataFrame({"score": relative(predicted), "accuracy": predicted, **rest})
    view = Ranking(frame, table["accuracy"])
    assert shown(view).layout.yaxis.title.text == "accuracy predicted by score (%)"
    worst = np.argsort(predicted, kind="stable")[:10]  # the score orders, here the other way round
    np.testing.assert_allclose(shown(view).data[2].y, 100 * predicted[worst])
    assert list(view.metrics["column"]) == ["score", "accuracy"]
    error = (predicted - table["accuracy"]).abs().mean()
    assert view.metrics["mae"].tolist() == pytest.approx([error, error])


def test_what_is_an_accuracy_can_be_said(scores, table):
    view = Ranking(scores, table["accuracy"], accuracies=["CL+T"])
    assert view.metrics.set_index("column")["mae"].notna().to_dict() == {"score": False, "CL+T": True, "FLOPs": False}
    with pytest.raises(ValueError, match="k-GNN"):
        Ranking(scores, table["accuracy"], accuracies=["k-GNN"])


def test_on_a_phone_the_panels_stand_below_each_other(view, shown):
    wide = shown(view).layout
    assert wide.xaxis.domain[1] < wide.xaxis2.domain[0]
    assert tuple(wide.yaxis.domain) == tuple(wide.yaxis2.domain)
    height = wide.height
    view.chart.narrow = True
    narrow = shown(view).layout
    assert narrow.yaxis2.domain[1] < narrow.yaxis.domain[0]
    assert tuple(narrow.xaxis.domain) == tuple(narrow.xaxis2.domain) == (0, 1)
    assert narrow.height > 1.5 * height
    assert narrow.yaxis2.title.text


def test_a_view_opens_where_its_state_was_stored(view, scores, table):
    view.state.set_trait("family", "nb201")
    view.state.column, view.state.k = "CL+T", 20
    state = RankingState.from_json(view.state.to_json())
    again = Ranking({"zero-shot": scores, "fine-tuned": scores}, table["accuracy"], table=table, state=state)
    pd.testing.assert_frame_equal(again.top["zero-shot"], view.top["zero-shot"])


@pytest.mark.parametrize("column", ["score", "FLOPs"])
@pytest.mark.parametrize("ranks", [False, True])
def test_the_static_twin(view, column, ranks, overlaps, shown):
    view.state.column, view.state.ranks = column, ranks
    figure = view.static()
    first, second = figure.axes
    assert first.get_xlabel() == second.get_xlabel() == shown(view).layout.xaxis.title.text
    assert first.get_ylabel() == shown(view).layout.yaxis.title.text
    assert first.get_ylim() == second.get_ylim()
    assert (first.get_ylim()[0] > first.get_ylim()[1]) == ranks
    assert overlaps(figure) == []
    drawn = np.concatenate([points.get_offsets() for points in first.collections])
    interactive = np.concatenate(
        [trace.y for trace in shown(view).data if trace.mode == "markers" and trace.yaxis == "y"]
    )
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(interactive))


def test_saved_files(view, table, tmp_path):
    assert len(view.save(tmp_path / "r.png").read_bytes()) > 10_000
    ET.fromstring(view.save(tmp_path / "r.svg").read_text(encoding="utf-8"))
    csv = pd.read_csv(view.save(tmp_path / "r.csv"))
    np.testing.assert_allclose(csv["fine-tuned: score"], table["accuracy"])
    assert list(csv["fine-tuned: predicted rank"]) == list(csv["true rank"])
    page = view.save(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "zero-shot: SRCC" in page
    assert "<script src" not in page


def test_two_networks_are_enough_and_ties_have_no_correlation(shown):
    view = Ranking(pd.DataFrame({"score": [0.5, 0.5]}), [0.5, 0.7])
    assert np.isnan(view.metrics["srcc"][0])
    assert shown(view).layout.annotations[0].text == "<b>predicted: SRCC –</b>"
    assert list(view.top["predicted"]["predicted rank"]) == [1, 1]


def test_a_family_of_one_is_said_in_the_panel(scores, table):
    table.loc[0, "family"] = "lonely"
    view = Ranking(scores, table["accuracy"], table=table)
    view.state.family = "lonely"
    assert "at least 2 networks" in view.error
    view.state.family = "nb101"
    assert view.error == ""


def nan_at(frame, column):
    frame = frame.copy()
    frame.loc[3, column] = np.nan
    return frame


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, t: {"scores": nan_at(s, "score")}, "NaN"),
        (lambda s, t: {"scores": nan_at(s, "CL+T")}, r"'CL\+T'.*NaN"),
        (lambda s, t: {"accuracy": nan_at(t, "accuracy")["accuracy"]}, "NaN"),
        (lambda s, t: {"accuracy": t["accuracy"][:59]}, "60, 59"),
        (lambda s, t: {"scores": s[:0], "accuracy": []}, "at least 2 networks"),
        (lambda s, t: {"scores": s.drop(columns="score")}, "lack the column 'score'"),
        (lambda s, t: {"scores": {}}, "empty mapping"),
        (lambda s, t: {"scores": {"a": s, "b": [1, 2]}}, "'b' must be a DataFrame"),
        (lambda s, t: {"scores": s["score"]}, "DataFrame"),
        (lambda s, t: {"accuracy": 100 * t["accuracy"]}, "divide percentages by 100"),
        (lambda s, t: {"accuracy": t["accuracy"][::-1]}, "another order"),
        (lambda s, t: {"table": t[:3]}, "3 rows"),
        (lambda s, t: {"table": t.drop(columns="arch")}, "'arch'"),
        (lambda s, t: {"table": t, "state": RankingState(family="nb301")}, "nb301"),
        (lambda s, t: {"state": RankingState(column="beauty")}, "beauty"),
    ],
)
def test_bad_input_gets_one_sentence(scores, table, change, message):
    arguments = {"scores": scores, "accuracy": table["accuracy"], **change(scores, table)}
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Ranking(**arguments)
    assert "\n" not in str(caught.value)
