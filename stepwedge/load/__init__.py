"""Load: the same clinical traffic as the scenarios, many times at once, driven by Locust and reconciled afterwards."""
