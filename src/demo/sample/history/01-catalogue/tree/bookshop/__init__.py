"""The bookshop: a catalogue, orders and shipping behind a small HTTP interface."""

__version__ = "1.0.0"
