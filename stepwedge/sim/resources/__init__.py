"""Rows of the books as FHIR R4 resources, and back: pure mappings, one module for each thing a hospital speaks of."""
