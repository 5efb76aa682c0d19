"""The lesson on what layers cost: its arithmetic, its pages, and the panel that turns them."""
