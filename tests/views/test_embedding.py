"""The embedding view: what it shows equals the data, and it moves with its state, the sliders and the mouse."""

import io
import sys
import types
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from nasviz.views import EmbeddingScatter, EmbeddingState
from nasviz.views.theme import OKABE_ITO

N = 60


@pytest.fixture
def view(embedding, table):
    return EmbeddingScatter(embedding, None, table)


def test_first_paint(view, embedding, table, read_table, shown):
    points = shown(view).data[0]
    assert len(points.x) == N
    # PCA keeps distances between the centres, which lie on axes of the embedding
    assert np.var(points.x) >= np.var(points.y)
    assert shown(view).layout.xaxis.title.text.startswith("principal component 1 (")
    assert "% of the variance" in shown(view).layout.yaxis.title.text
    assert set(points.marker.color[:25]) == {OKABE_ITO[0]}
    assert set(points.marker.color[25:]) == {OKABE_ITO[1]}
    assert len(set(points.marker.symbol)) == 2
    header, rows, caption = read_table(view._table_box.value)
    assert header == ["family", "accuracy", "macs", "arch"]
    assert [row[3] for row in rows] == list(table["arch"])
    assert rows[0][1] == f"{100 * table['accuracy'][0]:.1f} %"
    assert "All 60 networks" in caption
    assert "0 of 60 networks selected; 60 of 60 shown" in view._status.value


def test_the_input_survives(embedding, table):
    x, frame = embedding.copy(), table.copy()
    view = EmbeddingScatter(x, None, frame)
    view.state.n_clusters = 3
    np.testing.assert_array_equal(x, embedding)
    pd.testing.assert_frame_equal(frame, table)


def test_a_lasso_fills_the_table_and_the_selection(view, table, read_table, shown):
    view.chart.selected = [2, 5, 40]  # as the browser says it
    assert view.state.selection == [2, 5, 40]
    assert list(view.selection["arch"]) == list(table["arch"].iloc[[2, 5, 40]])
    _, rows, caption = read_table(view._table_box.value)
    assert [row[3] for row in rows] == list(table["arch"].iloc[[2, 5, 40]])
    assert caption == "3 of 60 networks selected"
    view.state.colour = "accuracy"  # drawn again, the selection is still there
    assert list(shown(view).data[0].selectedpoints) == [2, 5, 40]
    assert view.frame["selected"].sum() == 3


def test_a_double_click_selects_nothing(view, shown):
    view.chart.selected = [1]
    view.chart.selected = []
    assert view.state.selection == []
    assert view.selection.empty
    view.state.colour = "accuracy"
    assert shown(view).data[0].selectedpoints is None


def test_a_selection_from_python(view):
    view.state.selection = [7]
    assert view.chart.selected == [7]
    view.state.selection = [7, 60]
    assert "row 60" in view.error
    assert view.state.selection == [7]


def test_the_sliders_cluster_again(view, read_table):
    assert view.memberships is None
    sliders = {w.description: w for w in view._controls.children if hasattr(w, "readout")}
    assert sliders["Clusters"].continuous_update is sliders["Fuzzifier"].continuous_update is False
    sliders["Clusters"].value = 3
    assert view.state.reclustered
    assert view.state.colour == "cluster"
    assert view.memberships.shape == (N, 3)
    np.testing.assert_allclose(view.memberships.sum(axis=1), 1)
    # the three blobs are found, whatever their order
    dominant = view.frame["cluster"].to_numpy().reshape(3, N // 3)
    assert all(len(set(blob)) == 1 for blob in dominant)
    assert len(set(dominant[:, 0])) == 3
    _, rows, caption = read_table(view._group_box.value)
    assert [int(row[1]) for row in rows] == [20, 20, 20]
    assert caption == "By cluster"
    crisp = view.memberships.to_numpy().max()
    sliders["Fuzzifier"].value = 2.0
    assert view.memberships.to_numpy().max() < crisp
    assert view.error == ""


def test_opacity_is_the_membership(embedding, table, shown):
    u = np.full((N, 2), 0.5)
    u[0], u[1] = [1, 0], [0.25, 0.75]
    state = EmbeddingState(colour="cluster")
    view = EmbeddingScatter(embedding, pd.DataFrame(u, columns=["even", "odd"]), table, state=state)
    opacity = np.array(shown(view).data[0].marker.opacity)
    assert opacity[0] == 1
    assert opacity[2] == opacity[3:].max() == opacity.min()
    assert opacity[1] == pytest.approx((opacity[0] + opacity[2]) / 2)
    assert list(view.frame["cluster"][:2]) == ["even", "odd"]
    assert "odd, membership 0.75" in shown(view).data[0].customdata[1]


def test_given_memberships_stay_until_a_slider_moves(embedding, table):
    given = np.random.default_rng(3).dirichlet(np.ones(4), N)
    view = EmbeddingScatter(embedding, given, table)
    assert view.state.n_clusters == 4
    assert not view.state.reclustered
    np.testing.assert_array_equal(view.memberships, given)
    view.state.fuzzifier = 1.5
    assert not np.allclose(view.memberships, given)


def test_clusters_that_collapse_are_said_and_the_old_ones_stay(table, shown):
    noise = np.random.default_rng(0).normal(size=(N, 32))  # many dimensions and no structure
    view = EmbeddingScatter(noise, None, table)
    view.state.fuzzifier = 1.1
    before, colours = view.memberships, shown(view).data[0].marker.color
    view.state.fuzzifier = 3.0
    assert "collapsed" in view.error
    assert "from before stay" in view.error
    assert view.memberships is before
    assert shown(view).data[0].marker.color == colours
    view.state.fuzzifier = 1.2
    assert view.error == ""


def test_too_many_clusters_for_the_points(table):
    few = np.repeat(np.eye(4), 15, axis=0)
    view = EmbeddingScatter(few, None, table)
    view.state.n_clusters = 9
    assert "n_clusters = 9" in view.error
    assert view.memberships is None
    assert view.state.colour == "family"


@pytest.mark.parametrize(("colour", "label"), [("accuracy", "accuracy (%)"), ("macs", "MACs")])
def test_numbers_have_a_colour_bar_with_a_unit(view, table, colour, label, shown):
    view.state.colour = colour
    marker = shown(view).data[0].marker
    assert marker.showscale
    assert marker.colorbar.title.text == label
    factor = 100 if colour == "accuracy" else 1
    np.testing.assert_allclose(marker.color, factor * table[colour])
    view.state.colour = "family"
    assert not shown(view).data[0].marker.showscale


def test_an_unknown_accuracy_is_an_open_circle_and_a_dash(embedding, table, read_table, shown):
    table.loc[0, "accuracy"] = np.nan
    view = EmbeddingScatter(embedding, None, table, state=EmbeddingState(colour="accuracy"))
    assert list(shown(view).data[0].marker.symbol[:2]) == ["circle-open", "circle"]
    assert read_table(view._table_box.value)[1][0][1] == "–"
    assert [len(drawn.get_offsets()) for drawn in view.static().axes[0].collections] == [1, N - 1]


def test_umap_comes_from_the_background(view, embedding, monkeypatch, shown):
    class Fake:
        def __init__(self, **settings):
            pass

        def fit_transform(self, x):
            return x[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Fake))
    view.state.projection = "UMAP"
    if view._background is not None:
        view._background.wait(10)
    np.testing.assert_array_equal(shown(view).data[0].x, embedding[:, 0])
    assert shown(view).layout.xaxis.title.text == "UMAP 1 (no unit)"
    assert "(UMAP)" in view._status.value
    view.state.projection = "PCA"
    assert shown(view).layout.xaxis.title.text.startswith("principal")


def test_a_umap_that_fails_is_said_and_pca_stays(view, monkeypatch):
    def fail(x):
        raise MemoryError("no room")

    monkeypatch.setattr("nasviz.views.projection.umap", fail)
    view.state.projection = "UMAP"
    if view._background is not None:
        view._background.wait(10)
    assert "UMAP failed" in view.error
    assert view.state.projection == "PCA"


def test_a_stored_umap_is_shown_at_once(embedding, table, shown):
    state = EmbeddingState(projection="UMAP")
    view = EmbeddingScatter(embedding, None, table, umap=embedding[:, 2:4], state=state)
    np.testing.assert_array_equal(shown(view).data[0].x, embedding[:, 2])
    assert view._background is None


def test_a_view_opens_where_its_state_was_stored(view, embedding, table, shown):
    view.state.n_clusters = 3
    view.state.selection = [1, 2]
    again = EmbeddingScatter(embedding, None, table, state=EmbeddingState.from_json(view.state.to_json()))
    pd.testing.assert_frame_equal(again.frame, view.frame)
    assert shown(again).data[0].marker.color == shown(view).data[0].marker.color


def test_many_points_are_drawn_by_webgl(shown):
    n = 3001
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"family": "f", "arch": np.arange(n).astype(str), "accuracy": rng.random(n)})
    view = EmbeddingScatter(rng.normal(size=(n, 3)), None, table)
    assert isinstance(shown(view).data[0], go.Scattergl)


@pytest.mark.parametrize("colour", ["family", "accuracy", "macs", "cluster"])
def test_the_static_twin(view, colour, overlaps, shown):
    view.state.n_clusters = 3
    view.state.colour = colour
    view.state.selection = [1, 2, 3]
    figure = view.static()
    ax = figure.axes[0]
    assert ax.get_xlabel() == shown(view).layout.xaxis.title.text
    assert ax.get_ylabel() == shown(view).layout.yaxis.title.text
    assert overlaps(figure) == []
    drawn = np.concatenate([np.ma.getdata(points.get_offsets()) for points in ax.collections])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    assert len(drawn) == N
    np.testing.assert_allclose(np.sort(drawn[:, 0]), np.sort(shown(view).data[0].x))
    if colour == "family":
        colours = {
            tuple((255 * p.get_facecolor()[0, :3]).round().astype(int)) for p in ax.collections if len(p.get_offsets())
        }
        assert colours == {tuple(bytes.fromhex(c[1:])) for c in shown(view).data[0].marker.color}


def test_twenty_clusters_fit_into_the_legend(embedding, table, overlaps):
    u = np.random.default_rng(0).dirichlet(np.full(20, 0.1), N)
    view = EmbeddingScatter(embedding, u, table, state=EmbeddingState(colour="cluster"))
    figure = view.static()
    assert overlaps(figure) == []
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= 0
    assert legend.x1 <= figure.bbox.width + 1


def test_saved_files(view, table, tmp_path):
    view.state.selection = [4]
    png = view.save(tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) > 10_000
    ET.fromstring(view.save(tmp_path / "a.svg").read_text(encoding="utf-8"))
    csv = pd.read_csv(view.save(tmp_path / "a.csv"))
    assert list(csv["arch"]) == list(table["arch"])
    np.testing.assert_allclose(csv["accuracy"], table["accuracy"])
    assert csv["selected"].sum() == 1
    page = view.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Plotly.newPlot" in page
    assert len(page) > 3_000_000  # plotly.js itself, so that nothing is loaded from elsewhere
    assert "<script src" not in page
    with pytest.raises(ValueError, match="'jpg'"):
        view.save(tmp_path / "a.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.html", "a.png", "a.svg"]


def test_the_same_view_gives_the_same_picture(view):
    from nasviz.views.export import view_bytes

    assert view_bytes(view, "svg") == view_bytes(view, "svg")
    assert view_bytes(view, "png") == view_bytes(view, "png")
    assert pd.read_csv(io.BytesIO(view_bytes(view, "csv"))).shape[0] == N


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": np.zeros((59, 6))}, "59, 60"),
        ({"embedding": np.zeros((60, 1))}, "at least 2 rows and 2 columns"),
        ({"embedding": np.zeros(60)}, "2 dimensions"),
        ({"embedding": np.full((60, 6), np.nan)}, "NaN"),
        ({"embedding": [["a", "b"]] * 60}, "numbers"),
        ({"memberships": np.full((59, 2), 0.5)}, "60 rows"),
        ({"memberships": np.full((60, 2), 1.5)}, r"\[0, 1\]"),
        ({"memberships": np.full((60, 2), np.nan)}, "NaN"),
        ({"table": None}, "NoneType"),
        ({"drop": "arch"}, "lacks arch"),
        ({"percent": True}, "divide percentages by 100"),
        ({"state": EmbeddingState(colour="beauty")}, "beauty"),
        ({"state": EmbeddingState(selection=[60])}, "row 60"),
        ({"umap": np.zeros((3, 2))}, "60, 3"),
    ],
)
def test_bad_input_gets_one_sentence(embedding, table, change, message):
    arguments = {"embedding": embedding, "memberships": None, "table": table}
    if change.pop("percent", False):
        arguments["table"] = table.assign(accuracy=100 * table["accuracy"])
    if "drop" in change:
        arguments["table"] = table.drop(columns=change.pop("drop"))
    arguments |= change
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        EmbeddingScatter(**arguments)
    assert "\n" not in str(caught.value)
