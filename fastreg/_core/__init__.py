"""Compiled core."""
