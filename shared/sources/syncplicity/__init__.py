"""Syncplicity."""
