"""HTML tables: what stands in them, and that nothing of the data is taken as HTML."""

import pandas as pd

from nasviz.views.table import ROWS_SHOWN, arch_lines, html_table


def test_the_table_holds_the_data(read_table):
    frame = pd.DataFrame({"arch": ["|a~0|+|b~1|", "b"], "accuracy": [0.5, 0.25], "n": [3, 4]})
    header, rows, caption = read_table(html_table(frame, "Two networks", {"accuracy": "{:.0%}".format}))
    assert header == ["arch", "accuracy", "n"]
    assert rows == [["|a~0|+|b~1|", "50%", "3"], ["b", "25%", "4"]]
    assert caption == "Two networks"


def test_text_of_the_data_is_no_html(read_table):
    frame = pd.DataFrame({"<b>arch": ["<script>alert(1)</script>", 'a "&" b']})
    text = html_table(frame, "x < y")
    assert "<script" not in text
    header, rows, caption = read_table(text)
    assert (header, rows, caption) == (["<b>arch"], [["<script>alert(1)</script>"], ['a "&" b']], "x < y")


def test_a_long_table_says_that_it_is_cut(read_table):
    _, rows, caption = read_table(html_table(pd.DataFrame({"n": range(1234)}), "Numbers"))
    assert len(rows) == ROWS_SHOWN
    assert rows[-1] == [str(ROWS_SHOWN - 1)]
    assert caption == f"Numbers; the first {ROWS_SHOWN} of 1,234 rows"


def test_empty_table(read_table):
    assert read_table(html_table(pd.DataFrame({"n": []}), "None")) == (["n"], [], "None")


def test_marks(read_table):
    text = html_table(pd.DataFrame({"n": [1, 2]}), "Marked", chosen=[False, True], swatches=["<i>●</i>", "<i>■</i>"])
    assert read_table(text)[1] == [["● 1"], ["■ 2"]]
    assert text.count('class="chosen"') == 1
    assert text.index('class="chosen"') > text.index("●")


def test_the_scrolling_place_is_reached_by_keyboard_and_named():
    text = html_table(pd.DataFrame({"n": [1]}), "Numbers")
    assert 'tabindex="0"' in text
    assert 'aria-label="Numbers"' in text
    assert 'scope="col"' in text


def test_arch_lines_break_behind_a_bar_and_lose_nothing():
    arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    lines = arch_lines(arch).split("<br>")
    assert "".join(lines) == arch
    assert max(map(len, lines)) <= 46
    assert all(line.endswith("|") for line in lines)
    assert arch_lines("a<b") == "a&lt;b"
    assert arch_lines("") == ""
