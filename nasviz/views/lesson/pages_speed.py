"""The pages on where the time goes, and on what pruning saves."""

from dataclasses import replace
from functools import lru_cache

import ipywidgets as widgets
import pandas as pd

from nasviz.graph.layers import layer_names
from nasviz.measure.layer_times import LayerTimes, layer_flops, layer_times
from nasviz.views.lesson.charts import Bars, Dots
from nasviz.views.lesson.formulas import Conv, Dense
from nasviz.views.lesson.networks import digits_network, graph_of, measured
from nasviz.views.lesson.pages import Shown, count_table, formula_html
from nasviz.views.lesson.state import LessonState
from nasviz.views.table import html_table
from nasviz.views.text import shorten
from nasviz.views.theme import percent, si

RUNTIMES = [("torch", "torch"), ("OpenVINO", "openvino")]
SHOWN = 14
"""Layers in the chart."""


def measuring_button(lesson, text: str, tooltip: str, work) -> widgets.Button:
    """A button that measures."""

    def honest(state: LessonState) -> None:
        try:
            work(state)
        except ImportError as error:  # an extra that is not installed: a sentence, and no mistake of ours
            raise ValueError(str(error)) from error

    button = widgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(lambda _: lesson.measure(honest))
    return button


class Times:
    """What share of the FLOPs the layers of a network have, and what share of the time."""

    def __init__(self):
        self.found: dict[tuple[str, str], LayerTimes] = {}  # by network and runtime

    def controls(self, lesson) -> list[widgets.Widget]:
        """The network, what runs it, and a button that measures."""
        return [
            lesson.choice("measured_network", "Network", list(measured())),
            lesson.choice("runtime", "Run by", RUNTIMES),
            measuring_button(lesson, "Measure the layers", "One thread, one input", self.measure),
        ]

    def measure(self, state: LessonState) -> None:
        """Time the layers of the network with the runtime."""
        import torch

        network = measured()[state.measured_network]
        module, example = network.build().eval(), torch.rand(network.shape)
        key = state.measured_network, state.runtime
        self.found[key] = layer_times(module, example, runtime=state.runtime, repeats=20, warmup=2)

    def steps(self, state: LessonState) -> int:
        """None."""
        return 0

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """The layers with most FLOPs; measured, those with most of either."""
        name, found = state.measured_network, self.found.get((state.measured_network, state.runtime))
        table = self.counted(name) if found is None else found.table
        share = {"FLOPs": table["flops"] / table["flops"].sum()}
        if found is not None:
            share["time"] = table["share"]
        most = pd.DataFrame(share).max(axis=1).nlargest(SHOWN).index.sort_values()
        labels = [self.label(table["layers"][i], 16 if narrow else 30) for i in most]
        labels = [f"{label} ·{labels[:i].count(label) + 1}" if label in labels[:i] else label
                  for i, label in enumerate(labels)]  # fmt: skip
        series = {kind: dict(zip(labels, (100 * values[most]).tolist(), strict=True)) for kind, values in share.items()}
        top = table.loc[share["FLOPs"].idxmax()]
        text = f"{name}: {si(table['flops'].sum())} FLOPs, most in {top['layers']} ({percent(max(share['FLOPs']))})."
        if found is not None:
            slow = table.loc[table["latency_ms"].idxmax()]
            text += f" Most time in {slow['layers']} ({slow['latency_ms']:.3g} ms, {percent(slow['share'])}). {found}."
        return Shown(
            Dots("share of the network (%)", series, "%"),
            table,
            f"The {len(most)} layers with the largest shares, in order. {text}",
            text,
            side=self.side(table, most),
        )

    @staticmethod
    def counted(name: str) -> pd.DataFrame:
        """The layers before anything is measured."""
        flops = layer_flops(graph_of(name))
        names = layer_names(flops)
        return pd.DataFrame(
            [(names[key], str(key[1]), count) for key, count in flops.items() if count],
            columns=["layers", "op", "flops"],
        )

    @staticmethod
    def label(layers: str, width: int) -> str:
        """A short name for a group: its first layer, and how many more."""
        first, *rest = layers.strip("[]").split(" + ")
        return shorten(first, width) + (f" +{len(rest)}" if rest else "")

    @staticmethod
    def side(table: pd.DataFrame, most: pd.Index) -> str:
        """The layers of the chart as a table."""
        shown = table.loc[most]
        frame = pd.DataFrame({"layers": shown["layers"], "FLOPs": shown["flops"].map(si)})
        if "latency_ms" in table:
            frame["ms"] = shown["latency_ms"].map("{:.3g}".format)
            frame["GFLOP/s"] = shown["gflops"].map("{:.3g}".format)
            frame["run by"] = shown["kernel"]
        return html_table(frame, f"The {len(frame)} layers of the chart", {"FLOPs": str, "ms": str, "GFLOP/s": str})


class Pruning:
    """Zeros against channels that are gone."""

    WIDTH, BATCH = 32, 64

    def __init__(self):
        self.found: dict[tuple[str, float, float], dict[str, float]] = {}

    def controls(self, lesson) -> list[widgets.Widget]:
        """How much is pruned in either way, and a button that measures."""
        share = {"min": 0.0, "step": 0.01, "readout_format": ".0%"}
        return [
            lesson.live("zeroed", "Weights zero", "share of all", widgets.FloatSlider, **share, max=0.99),
            lesson.live("removed", "Channels gone", "share of each layer's", widgets.FloatSlider, **share, max=0.95),
            lesson.choice("runtime", "Run by", RUNTIMES),
            measuring_button(lesson, "Measure all three", f"Batch {self.BATCH}, one thread", self.measure),
        ]

    def measure(self, state: LessonState) -> None:
        """Time the network as it is, with zeros, and with fewer channels."""
        import torch

        from nasviz.measure import latency
        from nasviz.measure.pruning import mask_weights, remove_channels, unmask

        module, example = digits_network(self.WIDTH), torch.rand(self.BATCH, 1, 8, 8)
        networks = {
            "as it is": module,
            "zeros": unmask(mask_weights(module, state.zeroed)),
            "channels": remove_channels(module, example[:1], state.removed),
        }
        self.found[state.runtime, state.zeroed, state.removed] = {
            name: latency(network, example, runtime=state.runtime, repeats=20).median_ms
            for name, network in networks.items()
        }

    def steps(self, state: LessonState) -> int:
        """None."""
        return 0

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """MACs of the network, with zeros, and with fewer channels."""
        whole, small = self.layers(0.0), self.layers(state.removed)
        macs = {name: layer.macs.value for name, layer in whole.items()}
        weights = sum(layer.params for layer in whole.values()) - 10
        left = round((1 - state.zeroed) * weights)
        zeros, gone = f"{state.zeroed:.0%} of the weights zero", f"{state.removed:.0%} of the channels gone"
        rows = {
            "as it is": macs,
            zeros: macs,
            "the same, effective": {name: round((1 - state.zeroed) * value) for name, value in macs.items()},
            gone: {name: layer.macs.value for name, layer in small.items()},
        }
        times = self.found.get((state.runtime, state.zeroed, state.removed), {})
        frame = pd.DataFrame(
            [
                ("as it is", sum(macs.values()), self.params(whole), self.params(whole), times.get("as it is")),
                (
                    zeros,
                    sum(macs.values()),
                    self.params(whole),
                    self.params(whole) - weights + left,
                    times.get("zeros"),
                ),
                (gone, sum(rows[gone].values()), self.params(small), self.params(small), times.get("channels")),
            ],
            columns=["network", "MACs", "parameters", "not zero", "ms"],
        )
        frame.insert(4, "file (bytes)", 4 * frame["parameters"])
        frame = frame if times else frame.drop(columns="ms")
        text = (
            f"{gone}: {sum(rows[gone].values()) / sum(macs.values()):.1%} of the MACs are left; {zeros}: all of them."
        )
        if times:
            text += (
                f" Measured, batch {self.BATCH}, one thread, {state.runtime}: "
                f"{times['as it is']:.3g} ms as it is, {times['zeros']:.3g} ms with zeros, {times['channels']:.3g} ms "
                "with fewer channels."
            )
        before, after = whole["conv2"], small["conv2"]
        return Shown(
            Bars("MACs", rows, gone),
            frame,
            f"MACs by layer of a network and of three that were pruned. {text}",
            text,
            formula_html([before.macs], "MACs", "conv2, as it is", legend=False)
            + formula_html([after.macs], "MACs", "fewer channels"),
            html_table(frame, "What is left", count_table(frame)),
        )

    @staticmethod
    @lru_cache(maxsize=128)
    def layers(removed: float) -> dict[str, Conv | Dense]:
        """The layers with weights, when this share of the channels is gone."""
        width = Pruning.WIDTH

        def kept(channels: int) -> int:
            return max(1, int(round(channels * (1 - removed), 6)))  # a slider's 50 % is 0.4999…

        first = Conv(8, 1, kept(width), 3, padding=1)
        second = replace(first, c_in=kept(width))
        third = replace(second, size=4, c_out=kept(2 * width))
        fourth = replace(third, c_in=kept(2 * width))
        return {
            "conv1": first, "conv2": second, "conv3": third, "conv4": fourth,
            "dense": Dense(kept(2 * width), 10, bias=True),
        }  # fmt: skip

    @staticmethod
    def params(layers: dict[str, Conv | Dense]) -> int:
        """Parameters, those of the batch norms behind the convolutions included."""
        return sum(layer.params + (2 * layer.c_out if isinstance(layer, Conv) else 0) for layer in layers.values())
