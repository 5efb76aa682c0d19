"""The pages on what makes networks cheaper: pooling, and separable convolutions."""

from dataclasses import replace

import ipywidgets as widgets
import pandas as pd

from nasviz.views.lesson.charts import Bars
from nasviz.views.lesson.formulas import Conv, Dense, Pool, Separable
from nasviz.views.lesson.pages import Shown, count_table, formula_html
from nasviz.views.lesson.pages_layers import Convolution, conv_controls, conv_volumes, flops_table
from nasviz.views.lesson.state import LessonState
from nasviz.views.lesson.volumes import Volume, draw_volumes
from nasviz.views.table import html_table


class Pooling:
    """What a pooling costs, and what it saves behind it."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """The input and the window."""
        return [
            lesson.live("pool_size", "Input size", "rows and columns of the input", min=2, max=64),
            lesson.live("pool_channels", "Channels", "each is pooled alone", min=1, max=256),
            lesson.live("pool_kernel", "Window k", "rows and columns of the window", min=1, max=8),
            lesson.live("pool_stride", "Stride", "cells that the window moves at a time", min=1, max=8),
        ]

    def steps(self, state: LessonState) -> int:
        """One an element of the output."""
        return self.layer(state).as_conv().outputs

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """One operation for each element of each window."""
        pool = self.layer(state)
        behind = {}
        for name, size, first in (("without pooling", pool.size, 0), ("with pooling", pool.out_size, pool.flops)):
            conv = Conv(size, pool.channels, pool.channels, 3, padding=1)
            dense = Dense(pool.channels * size**2, 128)
            parts = {
                "pooling": first,
                "3 × 3 convolution behind it": conv.flops,
                "dense layer behind that": dense.flops,
            }
            behind[name] = {part: value for part, value in parts.items() if value}
        frame = pd.DataFrame(behind).T.rename_axis("network").fillna(0).astype(int)
        frame = frame[sorted(frame, key=lambda part: part != "pooling")].reset_index()
        frame["sum"] = frame.drop(columns="network").sum(axis=1)
        source, target, _, where = conv_volumes(pool.as_conv(), state.step)
        without, with_ = frame["sum"]
        made, outputs, window = state.step + 1, pool.channels * pool.out_size**2, pool.kernel**2
        return Shown(
            Bars("FLOPs", behind),
            frame,
            f"A pooling from {pool.channels} × {pool.size} × {pool.size} to {pool.channels} × {pool.out_size} × "
            f"{pool.out_size}: {pool.flops:,} FLOPs. With the layers behind it: {with_:,} FLOPs instead of "
            f"{without:,}.",
            f"Output element {made:,} of {outputs:,} ({where}): {window} operations each, {made * window:,} so far of "
            f"{pool.flops:,}. Activations: {pool.channels * pool.size**2:,} come in, {outputs:,} go out.",
            formula_html(pool.terms, "FLOPs"),
            html_table(frame, "FLOPs, with two layers behind it", count_table(frame)),
            draw_volumes([source, target], [f"windows of\n{pool.kernel} × {pool.kernel}"], narrow),
        )

    @staticmethod
    def layer(state: LessonState) -> Pool:
        """The pooling that the sliders stand at."""
        return Pool(state.pool_size, state.pool_channels, state.pool_kernel, state.pool_stride)


class SeparableLayer:
    """Depthwise, then pointwise."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """The sizes of the convolution that is taken apart."""
        return conv_controls(lesson)

    def steps(self, state: LessonState) -> int:
        """One a pixel of the output."""
        return self.layer(state).out_size ** 2

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """Both costs, and what part they are of the whole."""
        dense = self.layer(state)
        layer = Separable(dense)
        values = {
            "convolution": {"convolution": dense.flops},
            "separable": {"depthwise": layer.depthwise.flops, "pointwise": layer.pointwise.flops},
            "as the notes count it": {"depthwise": layer.depthwise.flops, "pointwise": layer.pointwise.macs.value},
        }
        rows = {"convolution": dense, "depthwise": layer.depthwise, "pointwise": layer.pointwise}
        frame = flops_table(rows)
        parts = self.parts(dense)
        kernels = f"{dense.c_in} kernel{'s' * (dense.c_in > 1)}\n1 × {dense.kernel} × {dense.kernel}"
        across = f"{dense.c_out} kernels\n{dense.c_in} × 1 × 1"
        row, column = divmod(state.step, dense.out_size)
        cell = {"cells": [(row, column)], "done": state.step}
        source = Volume("input", dense.size, dense.c_in, padding=dense.padding, cells=dense.window(row, column))
        middle = Volume("after depthwise", dense.out_size, dense.c_in, cells=[(row, column)], reads=(0, dense.c_in))
        target = Volume("output", dense.out_size, dense.c_out, clickable=True, **cell)
        return Shown(
            Bars("FLOPs", values),
            frame,
            f"A convolution of {dense.flops:,} FLOPs against a depthwise layer of {layer.depthwise.flops:,} and a "
            f"pointwise layer of {layer.pointwise.flops:,}: {layer.ratio:.3f} of the cost.",
            f"Separable: {2 * layer.macs:,} of {dense.flops:,} FLOPs, that is {layer.ratio:.3f}. As the notes count "
            f"it: {layer.noted:,}, that is {layer.noted_ratio:.3f}.",
            formula_html(dense.terms, "FLOPs", "convolution", legend=False)
            + formula_html(layer.depthwise.terms, "FLOPs", "depthwise", legend=False)
            + formula_html(layer.pointwise.terms, "FLOPs", "pointwise"),
            html_table(parts, "What part of the MACs is left, by kernel and output channels", count_table(parts)),
            draw_volumes([source, middle, target], [kernels, across], narrow),
        )

    @staticmethod
    def layer(state: LessonState) -> Conv:
        """The convolution that is taken apart."""
        return replace(Convolution.layer(state), groups=1, bias=False)

    @staticmethod
    def parts(dense: Conv) -> pd.DataFrame:
        """The ratio for many output channels and kernels, the rest as set."""
        channels = sorted({2, 5, 10, 32, 128, 256, dense.c_out})
        table = {"C_out": channels}
        for kernel in (1, 3, 5, 7):
            same = replace(dense, kernel=kernel, padding=kernel // 2, dilation=1, size=max(dense.size, kernel))
            table[f"k = {kernel}"] = [Separable(replace(same, c_out=c_out)).ratio for c_out in channels]
        return pd.DataFrame(table)
