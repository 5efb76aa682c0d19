"""The dashboards as a server: pages of Voilà, an index, kernels that are ready, and what viewers may not do."""

from nasviz.views.server.app import serve

__all__ = ["serve"]
