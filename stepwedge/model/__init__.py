"""The clinical vocabulary: patients, orders, procedures, reports, identifiers and their life cycles. Pure data."""
