"""What every panel has: a chart, a side with tables, controls bound to the state, a status line, the save buttons."""

import base64
import html
import logging
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.chart import Chart
from nasviz.views.export import MIME, figure_bytes, save_view, view_bytes
from nasviz.views.state import ViewState
from nasviz.views.theme import darken

_logger = logging.getLogger(__name__)


def sentence(error: Exception) -> str:
    """An error as one line: our own sentences as they are, anything else with the name of its class."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ValueError | TypeError | OSError) else f"{type(error).__name__}: {text}"


def guard(method: Callable) -> Callable:
    """Show an error of a panel's callback as a sentence in the panel, because Voilà shows no traceback.

    Only the outermost guarded call catches, and it clears the message of the call before.
    """

    @wraps(method)
    def guarded(self: "Shell", *args, **kwargs):
        if self._guarding:
            return method(self, *args, **kwargs)
        self._guarding = True
        try:
            self.show_error("")
            return method(self, *args, **kwargs)
        except (ValueError, TypeError, OSError) as error:
            self.show_error(sentence(error))
        except Exception as error:  # a mistake of ours: the sentence for the user, the traceback for the log
            _logger.exception("the callback %s of %s failed", method.__name__, type(self).__name__)
            self.show_error(sentence(error))
        finally:
            self._guarding = False
        return None

    return guarded


class Shell(widgets.VBox):
    """A box that shows the errors of its guarded callbacks, in ``_error``, wherever that stands.

    A subclass implements ``static()``, ``export_table()`` and ``describe()``, so that it can be saved and printed.
    """

    title = "nasviz"

    def __init__(self, **options: Any):
        self._guarding = False
        self._error = widgets.HTML()
        super().__init__(**options)
        self.add_class("nasviz-panel")

    def show_error(self, text: str) -> None:
        """Show a sentence above the chart; an empty one removes it."""
        self._error.value = f'<p class="nasviz-error" role="alert">{html.escape(text)}</p>' if text else ""

    @property
    def error(self) -> str:
        """The sentence that the panel shows, or an empty one."""
        inner = self._error.value.partition(">")[2].removesuffix("</p>")
        return html.unescape(inner)

    def static(self):
        """The view as a matplotlib Figure, in its present state."""
        raise NotImplementedError

    def export_table(self) -> pd.DataFrame:
        """All rows behind the view, in its present state."""
        raise NotImplementedError

    def describe(self) -> str:
        """The view in one or two sentences."""
        raise NotImplementedError

    def save(self, path: str | Path) -> Path:
        """Write the view to a file; the ending (.png, .svg, .csv, .html) says how.

        Parameters
        ----------
        path : str or Path
            The file to make or to replace.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        ValueError
            If the ending is another one.
        """
        return save_view(self, path)


class Panel(Shell):
    """The frame of a view. A subclass makes the controls and says what follows from the state.

    A subclass implements ``figure()``, ``static()``, ``export_table()`` and ``describe()``, and calls ``redraw()`` when
    the state has changed.
    """

    chart_class = Chart
    picture_trait = "picture"  # of the state: whether the static twin is shown

    def __init__(self, state: ViewState):
        super().__init__()
        self._links: dict[widgets.Widget, widgets.link] = {}
        self.state = state
        self.chart = self.chart_class(self._make_file, self._on_click, self._on_tick, formats=list(MIME))
        self._status = widgets.HTML()
        self._controls = widgets.Box()
        self._side = widgets.VBox()
        self._below = widgets.Box()
        body = widgets.Box([self.chart, self._side])
        self.children = [self._controls, self._error, self._status, body, self._below]
        boxes = {self._controls: "controls", body: "body", self._below: "body", self._side: "side"}
        for box, name in boxes.items():
            box.add_class(f"nasviz-{name}")
        state.observe(self._on_picture, self.picture_trait)
        self.chart.observe(self._on_picture, "dark")

    # -- what a subclass gives ----------------------------------------------------------------------------------------

    def figure(self) -> go.Figure:
        """The view as a plotly figure, in its present state."""
        raise NotImplementedError

    def _on_click(self, point: str) -> None:
        """A point was clicked that has this id in its trace. Nothing follows, unless a subclass says so."""

    def _on_tick(self) -> None:
        """The page asks whether there is something new, every ``chart.interval`` milliseconds."""

    # -- what a subclass gets -----------------------------------------------------------------------------------------

    def show_status(self, text: str) -> None:
        """Say in one line what is shown."""
        self._status.value = f'<p class="nasviz-status" role="status">{html.escape(text)}</p>'

    def choice(self, trait: str, label: str, options: Sequence) -> widgets.Dropdown:
        """A drop-down bound to the state's `trait`; `options` are values or pairs of label and value."""
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        value = getattr(self.state, trait)
        if value not in values:
            raise ValueError(f"state.{trait} is {value!r}, which this view does not have; choose from {values}.")
        dropdown = widgets.Dropdown(
            description=label,
            options=options,
            value=value,
            style={"description_width": "initial"},
            layout={"width": "auto"},
        )
        self._links[dropdown] = widgets.link((self.state, trait), (dropdown, "value"))
        return dropdown

    def choices(self, trait: str, label: str, options: Sequence) -> widgets.SelectMultiple:
        """A list bound to the state's `trait`, a list, of which several can be chosen; `options` as in `choice`."""
        box = widgets.SelectMultiple(
            description=label, options=options, rows=4, style={"description_width": "initial"}, layout={"width": "auto"}
        )
        self._links[box] = widgets.link((self.state, trait), (box, "value"), (tuple, list))
        return box

    def offer(self, box: widgets.Dropdown | widgets.SelectMultiple, options: Sequence, default: Any) -> None:
        """Give what :meth:`choice` or :meth:`choices` made other options; the state becomes `default` if it must."""
        if list(box.options) == list(options):
            return
        link, values = self._links[box], [option[1] if isinstance(option, tuple) else option for option in options]
        (state, trait), _ = link.source, link.unlink()  # new options would change what is chosen
        box.options = options
        chosen = getattr(state, trait)
        if not (set(chosen) <= set(values) and chosen if isinstance(chosen, list) else chosen in values):
            setattr(state, trait, default)
        link.link()

    def slider(self, trait: str, label: str, kind: type, tooltip: str, **limits) -> widgets.Widget:
        """A slider bound to the state's `trait`, which moves the state when it is let go."""
        slider = kind(
            description=label,
            value=getattr(self.state, trait),
            continuous_update=False,
            tooltip=tooltip,
            style={"description_width": "initial"},
            layout={"width": "260px"},
            **limits,
        )
        widgets.link((self.state, trait), (slider, "value"))
        return slider

    def switch(self, trait: str, label: str) -> widgets.Checkbox:
        """A check box bound to the state's `trait`."""
        box = widgets.Checkbox(
            description=label, value=getattr(self.state, trait), indent=False, layout={"width": "auto"}
        )
        widgets.link((self.state, trait), (box, "value"))
        return box

    def redraw(self) -> None:
        """Draw the chart, and the static picture where it is shown, in the present state."""
        self.chart.draw(self.figure())
        self.describe_again()

    def describe_again(self) -> None:
        """Bring the description and the static picture up to the present state."""
        self.chart.description = self.describe()
        self.chart.picture = self._png(self.chart.dark) if getattr(self.state, self.picture_trait) else ""

    def _png(self, dark: bool = False) -> str:
        figure = self.static()
        return base64.b64encode(figure_bytes(darken(figure) if dark else figure, "png")).decode()

    @guard
    def _on_picture(self, change) -> None:
        self.describe_again()

    @guard
    def _make_file(self, format: str) -> tuple[str, str, bytes]:
        data = view_bytes(self, format)
        return f"{self.title.lower().replace(' ', '-')}.{format}", MIME[format], data

    def _repr_mimebundle_(self, **kwargs) -> dict[str, str]:
        # The picture stays readable where no kernel runs: in a stored notebook, on a code host, on paper.
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "image/png": self._png()}
