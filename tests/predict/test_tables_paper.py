"""The paper's figures: complete, and the same where the paper prints one twice."""

import pytest

from nasviz.families import names
from nasviz.predict.tables_paper import PAPER, Cell


def table(number: int) -> dict[Cell, tuple]:
    return {cell: figure for cell, figure in PAPER.items() if cell.table == number}


def test_every_table_is_whole():
    """Families × settings × methods × measures."""
    counts = {number: len(table(number)) for number in (1, 3, 4, 5, 6, 7, 8, 9, 10)}
    assert counts == {1: 8 * 5, 3: 10 * 2, 4: 9 * 4, 5: 32, 6: 32, 7: 0, 8: 8 * 2 * 7, 9: 8 * 2 * 7, 10: 2 * 8 * 2 * 7}
    assert {cell.family for cell in PAPER} == set(names())
    tuned = [figure.sd for cell, figure in PAPER.items() if cell.setting == "fine-tuned" and cell.table != 4]
    assert len(tuned) == 16 + 16 + 56 + 56 + 112 and None not in tuned


@pytest.mark.parametrize(("small", "large", "measure"), [(5, 8, "srcc"), (6, 10, "ndcg@10"), (1, 1, "srcc")])
def test_figures_that_are_printed_twice_agree(small, large, measure):
    for cell, figure in table(small).items():
        assert cell.measure == measure and PAPER[cell._replace(table=large)] == figure


def test_errors_are_fractions_and_those_in_domain_agree_with_table_3():
    for cell, figure in table(4).items():
        assert 0.002 < figure.mean < 0.03
        if cell.setting == "in-domain":
            assert PAPER[cell._replace(table=3)].mean == figure.mean
    assert PAPER[Cell(3, "mae", "nb101", "in-domain", "CL+FCM+T")] == pytest.approx((0.0059, 0.0001))


def test_figures_are_where_the_text_of_the_paper_says():
    """Sentences of the paper: 0.3214 on NB-301; SRCC 0.930 against NPN's 0.934; ±0.001 on NB-201 by FLOPs."""
    assert PAPER[Cell(5, "srcc", "nb301", "zero-shot", "GENNAPE")].mean == 0.3214
    assert PAPER[Cell(3, "srcc", "nb101", "in-domain", "CL+FCM+T")].mean == 0.930
    assert PAPER[Cell(3, "srcc", "nb101", "in-domain", "NPN")].mean == 0.934
    assert PAPER[Cell(1, "srcc", "nb201", "zero-shot", "FLOPs")].mean == 0.001
    ours = [figure.mean for cell, figure in table(5).items() if cell[3:] == ("fine-tuned", "GENNAPE")]
    public = ours[:5]
    assert min(public) > 0.85, "SRCC values above 0.85 on all public benchmarks"
