"""Tests of the study lab in a real Chromium: what a person does with mouse and keyboard, and what the page answers."""
