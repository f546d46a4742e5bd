"""Dropbox for Business."""
