"""Truths about leadflow, each told by a test."""
