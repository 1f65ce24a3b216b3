"""The scenario language: reading it, checking it, and walking its cases through a lab."""
