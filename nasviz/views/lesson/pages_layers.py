"""The pages on single layers: dot products, dense layers, convolutions."""

from dataclasses import replace

import ipywidgets as widgets
import pandas as pd

from nasviz.graph.cost import cost
from nasviz.views.lesson.charts import Bars, Dots
from nasviz.views.lesson.drawing import draw_dense, draw_dot_product
from nasviz.views.lesson.formulas import TWO, Conv, Dense, Factor, Product, group_choices
from nasviz.views.lesson.networks import graph_of, networks
from nasviz.views.lesson.pages import Shown, count_table, formula_html, line_html
from nasviz.views.lesson.state import LessonState
from nasviz.views.lesson.volumes import Volume, draw_volumes
from nasviz.views.table import html_table
from nasviz.views.theme import si

AS_SET = "as set"
WEIGHTED = ["FLOPs", "MACs", "parameters"]


def flops_table(rows: dict[str, Dense | Conv]) -> pd.DataFrame:
    """What layers cost: one a row."""
    return pd.DataFrame(
        [(name, layer.flops, layer.macs.value, layer.params) for name, layer in rows.items()],
        columns=["layer", *WEIGHTED],
    )


def choices_chart(rows: dict[str, Dense | Conv]) -> tuple[Bars, pd.DataFrame, str]:
    """FLOPs of a layer as set and of its neighbours, the same as a table, and that as HTML."""
    frame = flops_table(rows)
    bars = Bars("FLOPs", {name: {"FLOPs": layer.flops} for name, layer in rows.items()}, AS_SET)
    caption = "What one change would do"
    return bars, frame, html_table(frame, caption, count_table(frame), list(frame["layer"] == AS_SET))


class Counting:
    """A dot product that grows, and how long networks take at a speed."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """The length of the vectors, the speed of the machine."""
        speed = {"min": 6, "max": 15, "step": 0.1, "base": 10, "readout_format": ".2s"}
        return [
            lesson.live("length", "Vector length", "how many products are added up", min=1, max=64),
            lesson.live("speed", "Speed (FLOP/s)", "of the machine", widgets.FloatLogSlider, **speed),
        ]

    def steps(self, state: LessonState) -> int:
        """One a product."""
        return state.length

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """Two FLOPs for each product; time is work divided by speed."""
        flops = Product("FLOPs", (TWO, Factor("n", state.length, "MACs: products that are added to the sum")))
        work = {name: cost(graph_of(name)).total["flops"] for name in networks()}
        times = {name: 1000 * flops_of / state.speed for name, flops_of in work.items()}
        frame = pd.DataFrame({"network": list(work), "FLOPs": list(work.values()), "ms": list(times.values())})
        shown = html_table(frame, "One image, or one text", {"FLOPs": si, "ms": si})
        speed = f"{si(state.speed)}FLOP/s"
        chart = Dots(f"milliseconds at {speed}, at best", {"time": times}, "ms", log=True)
        fastest, slowest = min(times, key=times.get), max(times, key=times.get)
        return Shown(
            chart,
            frame,
            f"A dot product of length {state.length}: {state.length} MACs, {flops.value} FLOPs. At {speed} {fastest} "
            f"takes {si(times[fastest])} ms at best, {slowest} {si(times[slowest])} ms.",
            f"MAC {state.step + 1} of {state.length}: {2 * (state.step + 1)} FLOPs so far.",
            formula_html([flops], "FLOPs") + line_html("time = FLOPs / FLOPS: a quantity divided by a rate"),
            shown,
            draw_dot_product(state.length, state.step),
        )


class DenseLayer:
    """Every output reads all inputs."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """Inputs, outputs, bias."""
        return [
            lesson.live("inputs", "Inputs", "numbers that come in", min=1, max=4096),
            lesson.live("outputs", "Outputs", "neurons", min=1, max=4096),
            lesson.switch("bias", "Bias"),
        ]

    def steps(self, state: LessonState) -> int:
        """One an output."""
        return state.outputs

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """Outputs times inputs."""
        layer = Dense(state.inputs, state.outputs, state.bias)
        rows = {
            AS_SET: layer,
            "twice the inputs": replace(layer, inputs=2 * layer.inputs),
            "twice the outputs": replace(layer, outputs=2 * layer.outputs),
            "twice both": replace(layer, inputs=2 * layer.inputs, outputs=2 * layer.outputs),
            "without bias" if layer.bias else "with a bias": replace(layer, bias=not layer.bias),
        }
        chart, frame, side = choices_chart(rows)
        made = state.step + 1
        return Shown(
            chart,
            frame,
            f"A dense layer of {layer.inputs} inputs and {layer.outputs} outputs: {layer.flops:,} FLOPs. Bars compare "
            f"it with layers of twice the inputs or outputs.",
            f"Output {made:,} of {layer.outputs:,}: {layer.inputs:,} MACs each, {made * layer.inputs:,} MACs so far of "
            f"{layer.macs.value:,}. Parameters: {layer.params:,}.",
            formula_html(layer.terms, "FLOPs"),
            side,
            draw_dense(layer.inputs, layer.outputs, state.step),
        )


def conv_controls(lesson) -> list[widgets.Widget]:
    """The sizes that a convolution and its separable twin have in common."""
    return [
        lesson.live("size", "Input size", "rows and columns of the input", min=1, max=64),
        lesson.live("c_in", "Input channels", "C_in", min=1, max=256),
        lesson.live("c_out", "Output channels", "C_out: kernels", min=1, max=256),
        lesson.live("kernel", "Kernel k", "rows and columns of the kernel", min=1, max=11),
        lesson.live("stride", "Stride", "cells that the kernel moves at a time", min=1, max=4),
        lesson.live("padding", "Padding", "zeros around the input", min=0, max=5),
        lesson.live("dilation", "Dilation", "how far apart the cells of the kernel stand", min=1, max=4),
    ]


def size_line(layer: Conv) -> str:
    """The formula of the output's size with its numbers."""
    size, p, d, k, s = layer.size, layer.padding, layer.dilation, layer.kernel, layer.stride
    return line_html(
        f"H_out = W_out = ⌊(H + 2p − d(k − 1) − 1) / s⌋ + 1 = "
        f"⌊({size} + 2·{p} − {d}·{k - 1} − 1) / {s}⌋ + 1 = {layer.out_size}"
    )


def conv_volumes(layer: Conv, step: int) -> tuple[Volume, Volume, str, str]:
    """Input and output with the window of the step'th output element; how the kernels are called; and a sentence."""
    channel, rest = divmod(step, layer.out_size**2)
    row, column = divmod(rest, layer.out_size)
    depth = layer.c_in // layer.groups
    first = channel // (layer.c_out // layer.groups) * depth
    cells = layer.window(row, column)
    source = Volume("input", layer.size, layer.c_in, padding=layer.padding, cells=cells, reads=(first, first + depth))
    lit = {"cells": [(row, column)], "reads": (channel, channel + 1), "done": rest, "clickable": True}
    target = Volume("output", layer.out_size, layer.c_out, **lit)
    kernels = f"{layer.c_out} kernel{'s' * (layer.c_out > 1)}\n{depth} × {layer.kernel} × {layer.kernel}"
    where = f"channel {channel + 1}, row {row + 1}, column {column + 1}"
    return source, target, kernels, where


class Convolution:
    """A kernel slides over the input."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """All sizes."""
        state = lesson.state
        groups = lesson.choice("groups", "Groups", group_choices(state.c_in, state.c_out))
        lesson.on_settle(lambda: lesson.offer(groups, group_choices(state.c_in, state.c_out), 1))
        return [*conv_controls(lesson), groups, lesson.switch("bias", "Bias")]

    def steps(self, state: LessonState) -> int:
        """One an element of the output."""
        return self.layer(state).outputs

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """Output elements, times MACs behind each."""
        layer = self.layer(state)
        chart, frame, side = choices_chart(self.neighbours(layer))
        source, target, kernels, where = conv_volumes(layer, state.step)
        made = state.step + 1
        kind = "depthwise " if layer.depthwise and layer.c_in > 1 else "pointwise " if layer.kernel == 1 else ""
        return Shown(
            chart,
            frame,
            f"A {kind}convolution from {layer.c_in} × {layer.size} × {layer.size} to {layer.c_out} × {layer.out_size} "
            f"× {layer.out_size}: {layer.flops:,} FLOPs. The window of output {where} is lit. Bars compare with other "
            f"choices.",
            f"Output element {made:,} of {layer.outputs:,} ({where}): {layer.per_output:,} MACs each, "
            f"{made * layer.per_output:,} MACs so far of {layer.macs.value:,}. Parameters: {layer.params:,}.",
            size_line(layer) + formula_html(layer.terms, "FLOPs"),
            side,
            draw_volumes([source, target], [kernels], narrow),
        )

    @staticmethod
    def layer(state: LessonState) -> Conv:
        """The convolution that the sliders stand at."""
        names = "size c_in c_out kernel stride padding dilation groups bias".split()
        return Conv(**{name: getattr(state, name) for name in names})

    @staticmethod
    def neighbours(layer: Conv) -> dict[str, Conv]:
        """The layer as set, and with each one change that is possible."""
        wider = layer.kernel + 2
        changes: dict[str, dict] = {
            "stride 2": {"stride": 2},
            f"kernel {wider}": {"kernel": wider},
            "dilation 2, padded to match": {"dilation": 2, "padding": layer.padding + (layer.kernel - 1) // 2},
            "twice the input channels": {"c_in": 2 * layer.c_in},
            "twice the output channels": {"c_out": 2 * layer.c_out},
            "2 groups": {"groups": 2},
            "depthwise (groups = channels)": {"groups": layer.c_in},
            "without bias" if layer.bias else "with a bias": {"bias": not layer.bias},
        }
        rows = {AS_SET: layer}
        for name, change in changes.items():
            try:
                other = replace(layer, **change)
            except ValueError:  # not possible here
                continue
            matches = not name.startswith("dilation") or other.out_size == layer.out_size
            if other != layer and matches and (other.depthwise or not name.startswith("depthwise")):
                rows[name] = other
        return rows
