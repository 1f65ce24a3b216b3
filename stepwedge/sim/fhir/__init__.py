"""The FHIR R4 door that simulated systems share: shelf of versions, RESTful interactions, bundles, subscriptions, sending."""
