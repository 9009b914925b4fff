"""The report: tables for a terminal and a self-contained HTML page."""
