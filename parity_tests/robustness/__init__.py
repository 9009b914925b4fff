"""Tests of files, photos, command lines, interruptions and several processes."""
