"""The pages on whole networks: the two of the notes, rules of counting, and the roofline."""

import html
from math import isclose

import ipywidgets as widgets
import pandas as pd

from nasviz.graph.cost import macs, other
from nasviz.measure.roofline import Machine, intensities, measure_machine, roofline
from nasviz.views.lesson.charts import Bars, Dots, Roof
from nasviz.views.lesson.conventions import RULES, compare
from nasviz.views.lesson.networks import graph_of, measured, networks, worked_graph
from nasviz.views.lesson.notes import COUNTS, lines, variants, worked
from nasviz.views.lesson.pages import Shown, count_table, line_html
from nasviz.views.lesson.state import LessonState
from nasviz.views.lesson.volumes import Volume, draw_volumes
from nasviz.views.network_figure import kind
from nasviz.views.table import html_table
from nasviz.views.theme import percent, si

NAMES = {
    (False, True): "the first: convolutions, pooling",
    (True, False): "the second: separable, no pooling",
    (False, False): "convolutions, no pooling",
    (True, True): "separable, pooling",
}


class Networks:
    """The two networks of the notes, line by line, and the two that they do not have."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """Which network stands in the table, and how both are counted."""
        show = widgets.Button(
            description="Show the second network", tooltip="Without a guess", layout={"width": "auto"}
        )
        show.on_click(lambda _: lesson.reveal())

        def follow(change=None) -> None:
            show.layout.display = "none" if lesson.state.revealed else ""
            which.layout.display = "" if lesson.state.revealed else "none"

        which = lesson.choice("second", "Line by line", [("the first network", False), ("the second network", True)])
        count = lesson.choice("count", "Counted", [(name, key) for key, name in COUNTS.items()])
        lesson.state.observe(follow, "revealed")
        follow()
        return [which, count, show]

    def steps(self, state: LessonState) -> int:
        """None."""
        return 0

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """The lines of one network; the sums of all four, or of the first until the second may be seen."""
        second = state.second and state.revealed
        frame, count = variants(), state.count
        values = {}
        for key, name in NAMES.items():
            if state.revealed or key == (False, True):
                rows = frame[(frame["separable"] == key[0]) & (frame["pooling"] == key[1])]
                values[name] = {part: int(value) for part, value in zip(rows["part"], rows[count], strict=True)}
        totals = {name: sum(parts.values()) for name, parts in values.items()}
        table = worked(second)
        first, name = totals[NAMES[False, True]], NAMES[second, not second]
        status = f"{name.capitalize()}: {totals[name]:,} FLOPs, {COUNTS[count]}."
        if state.revealed:
            ratio = totals[NAMES[True, False]] / first
            both = totals[NAMES[True, True]]
            status = (
                f"Counted {COUNTS[count]}, the second network costs {ratio:.2f} times the first: "
                f"{totals[NAMES[True, False]]:,} against {first:,} FLOPs. Separable and with its pooling it would cost "
                f"{both:,}, that is {both / first:.2f} times."
            )
        sums = " + ".join(f"{value:,}" for value in table[count])
        return Shown(
            Bars("FLOPs", values, "" if len(values) == 1 else name),
            table,
            f"FLOPs of {len(values)} network{'s' * (len(values) > 1)} by layer. {status}",
            status,
            line_html(f"{name.capitalize()}: {sums} = {table[count].sum():,} FLOPs"),
            self.lines_html(second, count),
            self.drawing(second, narrow),
        )

    @staticmethod
    def lines_html(second: bool, count: str) -> str:
        """The table of a network, and a sentence on each slip in it."""
        table = worked(second)
        marks = ["" if not slip else " *" for slip in table["slip"]]
        shown = pd.DataFrame(
            {
                "layer": table["step"],
                "as written": [
                    f"{line.written} = {line.value:,}{mark}" for line, mark in zip(lines(second), marks, strict=True)
                ],
                "recounted": table["lesson"],
                "every 2": table["corrected"],
                "standard": table["standard"],
                "MACs": table["macs"],
                "parameters": table["params"],
            }
        )
        total = {"layer": "sum", "as written": f"{table['notes'].sum():,}", **shown.sum(numeric_only=True)}
        shown = pd.concat([shown, pd.DataFrame([total])], ignore_index=True)
        caption = f"The {'second' if second else 'first'} network: the notes, and torch modules counted by nasviz"
        notes = "".join(
            f"<li>{step}: {slip}</li>" for step, slip in zip(table["step"], table["slip"], strict=True) if slip
        )
        legend = (
            "<p class='nasviz-legend'>recounted: by the notes' rule; every 2: with the factor 2 in pointwise layers, "
            "too; standard: biases as well, one FLOP each.</p>"
        )
        bold = [False] * (len(shown) - 1) + [True]
        return html_table(shown, caption, count_table(shown), bold) + legend + (f"<ul>{notes}</ul>" if notes else "")

    @staticmethod
    def drawing(second: bool, narrow: bool):
        """The maps of a network, from the image to what the dense layers read."""
        graph = worked_graph(separable=second, pooling=not second)
        volumes, ways = [Volume("image", 28, 1)], []
        for node in graph.nodes[1:]:
            if len(node.out_shape) == 4:
                _, channels, size, _ = node.out_shape
                volumes.append(Volume(node.layer, size, channels))
                ways.append("")
        return draw_volumes(volumes, ways, narrow, face=100 if narrow else 150, gap=40)


class Conventions:
    """Ten networks, nine rules."""

    def controls(self, lesson) -> list[widgets.Widget]:
        """The network whose numbers stand beside the chart."""
        return [lesson.choice("network", "Network", list(networks()))]

    def steps(self, state: LessonState) -> int:
        """None."""
        return 0

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """Every rule's count as a multiple of the MACs."""
        counts = compare({name: graph_of(name) for name in networks()})
        relative = counts.div(counts["MACs"], axis=0)
        own = counts.loc[state.network]
        beside = pd.DataFrame(
            {
                "rule": list(RULES),
                "count": list(own),
                "× MACs": [f"{value:.3f}" for value in relative.loc[state.network]],
            }
        )
        why = "".join(
            f"<li><b>{html.escape(name)}</b>: {html.escape(rule.describe)}</li>" for name, rule in RULES.items()
        )
        low, high = relative.loc[state.network].min(), relative.loc[state.network].max()
        text = f"{state.network} ({networks()[state.network].about}): from {low:.3g} to {high:.3g} times its MACs."
        return Shown(
            Dots("count ÷ MACs", {name: relative[name].to_dict() for name in RULES}, lit=state.network),
            counts.reset_index(),
            f"{len(counts)} networks counted by {len(RULES)} rules, as multiples of their MACs. {text}",
            text,
            side=html_table(beside, f"{state.network}: one network, {len(RULES)} numbers", count_table(beside))
            + f'<ul class="nasviz-rules">{why}</ul>',
        )


class Roofline:
    """Where the layers of a network stand under the limits of a machine."""

    def __init__(self):
        self.tables: dict[str, pd.DataFrame] = {}  # measured layers, by network
        self.machine: Machine | None = None

    def controls(self, lesson) -> list[widgets.Widget]:
        """The network, the machine, and buttons that measure."""

        def button(text: str, tooltip: str, work) -> widgets.Button:
            made = widgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
            made.on_click(lambda _: lesson.measure(work))
            return made

        log = {"min": -1, "max": 5, "step": 0.01, "base": 10, "readout_format": ".3g"}
        return [
            lesson.choice("measured_network", "Network", list(measured())),
            lesson.live("peak", "Peak (GFLOP/s)", "of the machine", widgets.FloatLogSlider, **{**log, "min": 0}),
            lesson.live("bandwidth", "Bandwidth (GB/s)", "of its memory", widgets.FloatLogSlider, **log),
            button("Measure this machine", "Peak and bandwidth, one thread", self.measure_machine),
            button("Measure the layers", "How long each layer takes, one thread", self.measure_layers),
        ]

    def measure_machine(self, state: LessonState) -> None:
        """Put peak and bandwidth where the machine has them."""
        self.machine = measure_machine(seconds=1.0)
        state.set_trait("peak", self.machine.peak / 1e9)
        state.set_trait("bandwidth", self.machine.bandwidth / 1e9)

    def measure_layers(self, state: LessonState) -> None:
        """Time the layers of the network."""
        import torch

        name = state.measured_network
        network = measured()[name]
        machine = Machine(1e9 * state.peak, 1e9 * state.bandwidth)
        module = network.build().eval()
        self.tables[name] = roofline(module, torch.zeros(network.shape), machine, repeats=10)

    def steps(self, state: LessonState) -> int:
        """None."""
        return 0

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """The layers, on the roof or where they were measured."""
        name, graph = state.measured_network, graph_of(state.measured_network)
        machine, here = self.limits(state)
        timed = self.tables.get(name)
        table = intensities(graph) if timed is None else timed.copy()
        table["attainable_gflops"] = machine.attainable(table["intensity"]) / 1e9
        table.insert(2, "kind", table["layer"].map(self.kinds(name)))
        drawn = table[(table["flops"] > 0) & table["intensity"].notna()]
        height = "attainable_gflops" if timed is None else "gflops"
        groups = {
            str(kind_): list(zip(rows["layer"], rows["intensity"], rows[height], strict=True))
            for kind_, rows in drawn.groupby("kind", sort=True)
        }
        memory = (drawn["intensity"] < machine.ridge).mean()
        limits = str(machine) if here else f"As set: {state.peak:.3g} GFLOP/s, {state.bandwidth:.3g} GB/s"
        text = f"{limits}. Left of the ridge: {memory:.0%} of the layers of {name}."
        if timed is not None:
            text += f" Measured: {timed['latency_ms'].sum():.3g} ms in layers, one thread, batch 1."
            if (drawn["gflops"] > 1.05 * drawn["attainable_gflops"]).any():
                text += " Above the roof: data that was still in the cache, or limits of a machine that was busy."
        return Shown(
            Roof(machine, groups, timed is not None),
            table,
            f"Roofline: {text}",
            text,
            side=self.side_html(table) + self.compare_html(),
        )

    def limits(self, state: LessonState) -> tuple[Machine, bool]:
        """The machine that the sliders stand at, and whether it was measured; sliders round."""
        found = self.machine
        if found is not None and all(
            isclose(a, b, rel_tol=0.03)
            for a, b in ((found.peak, 1e9 * state.peak), (found.bandwidth, 1e9 * state.bandwidth))
        ):
            return found, True
        return Machine(1e9 * state.peak, 1e9 * state.bandwidth), False

    @staticmethod
    def kinds(name: str) -> dict[str, str]:
        """The kind of each layer: that of its most expensive operator."""
        best: dict[str, tuple[int, str]] = {}
        for node in graph_of(name).nodes:
            work = 2 * macs(node) + other(node)
            if work >= best.get(node.layer, (0, ""))[0]:
                best[node.layer] = work, kind(node)
        return {layer: name for layer, (_, name) in best.items()}

    @staticmethod
    def side_html(table: pd.DataFrame) -> str:
        """Shares of FLOPs, and of time where it is known, by kind of layer."""
        groups = table.groupby("kind", sort=False)
        frame = pd.DataFrame({"layers": groups.size(), "FLOPs": groups["flops"].sum() / table["flops"].sum()})
        caption, formats = "Shares by kind of layer", {"FLOPs": percent}
        if "latency_ms" in table:
            frame["time"] = groups["latency_ms"].sum() / table["latency_ms"].sum()
            frame["GFLOP/s"] = groups["flops"].sum() / groups["latency_ms"].sum() / 1e6
            formats |= {"time": percent, "GFLOP/s": "{:.3g}".format}
        frame = frame.sort_values("FLOPs", ascending=False).reset_index()
        return html_table(frame, caption, formats)

    def compare_html(self) -> str:
        """FLOPs and times of the networks that were measured so far."""
        if not self.tables:
            return ""
        rows = []
        for name, table in self.tables.items():
            flops, ms = table["flops"].sum(), table["latency_ms"].sum()
            rows.append((name, si(flops), f"{ms:.3g}", f"{flops / ms / 1e6:.3g}"))
        frame = pd.DataFrame(rows, columns=["network", "FLOPs", "ms", "GFLOP/s"])
        return html_table(frame, "Fewer FLOPs, faster? Measure several")
