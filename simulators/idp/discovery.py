"""What the provider publishes about itself (OpenID Connect Discovery 1.0, RFC 8414, SMART App Launch)."""

from __future__ import annotations

from typing import Any, Final

from .settings import GRANTS, PERSONAL

AUTHENTICATION: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def document(issuer: str) -> dict[str, Any]:
    """Return the provider's metadata."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "end_session_endpoint": f"{issuer}/end_session",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": [*AUTHENTICATION, "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_methods_supported": [*AUTHENTICATION, "none"],
        "introspection_endpoint_auth_methods_supported": list(AUTHENTICATION),
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [*PERSONAL.split(), "system/*.cruds"],
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "amr",
            "sid",
            "roles",
            "fhirUser",
        ],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def smart(issuer: str) -> dict[str, Any]:
    """Return ``.well-known/smart-configuration``."""
    told = document(issuer)
    told["capabilities"] = [
        "launch-ehr",
        "launch-standalone",
        "sso-openid-connect",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "context-ehr-patient",
        "context-ehr-encounter",
        "context-standalone-patient",
        "permission-offline",
        "permission-online",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
    ]
    return told
