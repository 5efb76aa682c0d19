"""What a run measures: how a metric is called, in which unit its numbers are written, and which way is better."""

import math
from dataclasses import dataclass

from nasviz.views.theme import si

LABELS = {
    "size_bytes": "size",
    "latency_ms": "latency",
    "flops": "FLOPs",
    "kflops": "FLOPs (thousands)",
    "macs": "MACs",
    "netscore_plus": "NetScore+",
    "information_capacity": "information capacity",
}
UNITS = {"size_bytes": "bytes", "latency_ms": "ms"}  # said by the name, where a table does not
# Less is better for what a network costs. Anything else, a plug-in's metric too, is taken as better when it is more.
COSTS = frozenset({"parameters", "size_bytes", "flops", "kflops", "macs", "latency_ms", "loss"})


@dataclass(frozen=True)
class Quantity:
    """A metric and its unit.

    Attributes
    ----------
    name : str
        As in the run's tables, such as ``"latency_ms"``.
    unit : str
        As in the run's tables: ``"fraction"`` (shown in percent), ``"bytes"``, ``"ms"``, or empty.
    """

    name: str
    unit: str = ""

    @property
    def title(self) -> str:
        """What people call it: ``"latency"``."""
        return LABELS.get(self.name, self.name.replace("_", " "))

    @property
    def label(self) -> str:
        """For an axis, with the unit: ``"latency (ms)"``."""
        unit = "%" if self.unit == "fraction" else self._unit
        return f"{self.title} ({unit})" if unit else self.title

    @property
    def factor(self) -> int:
        """What a value is multiplied with where it is drawn."""
        return 100 if self.unit == "fraction" else 1

    def tickformat(self, top: float) -> str:
        """plotly's format of the numbers on an axis that ends at `top`: small ones as they are, large ones as 1.5M."""
        if abs(top) < 1000:
            return ""
        return "," if self.name == "kflops" else "~s"  # no "25M" of thousands

    def tick(self, value: float) -> str:
        """A number on matplotlib's axis, as :meth:`tickformat` has it."""
        return f"{value:,g}" if abs(value) < 1000 else f"{value:,.0f}" if self.name == "kflops" else si(value)

    def short(self, value: float) -> str:
        """A value in few characters: ``"93.2 %"``, ``"4.7 MB"``; a missing one is ``"no value"``."""
        if not math.isfinite(value):
            return "no value"
        if self.unit == "fraction":
            return f"{100 * value:.1f} %"
        if self._unit == "bytes":
            text = si(value)
            return f"{text}B" if text[-1].isalpha() else f"{text} B"
        small = abs(value) < 10_000 and float(value).is_integer()
        between = 100 <= abs(value) < 1000  # where three digits would hide what sets scores apart
        text = f"{value:,.0f}" if small else f"{value:.1f}" if between else si(value)
        return " ".join(filter(None, [text, self._unit]))

    def cell(self, value: float) -> str:
        """A value for a column that says the unit: ``"93.21"``, ``"4,718,592"``."""
        value = value * self.factor
        if not math.isfinite(value):
            return "no value"
        return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"

    def exact(self, value: float) -> str:
        """A value with all that is known of it: ``"93.214 %"``, ``"4,718,592 bytes"``."""
        if not math.isfinite(value):
            return "no value"
        if self.unit == "fraction":
            return f"{100 * value:.6g} %"
        text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
        return " ".join(filter(None, [text, self._unit]))

    @property
    def _unit(self) -> str:
        return self.unit or UNITS.get(self.name, "")
