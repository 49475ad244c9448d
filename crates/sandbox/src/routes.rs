//! The table of routes.

use crate::signin::{authorize, device};
use crate::state::SandboxState;
use crate::sts::{exchange, session};
use crate::{aws, gdch, iam, identity, metadata, openid, reauth, service, subject, token};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// A route that the sandbox serves.
pub struct Route {
    /// The name of the route, for `--fault` and for counting requests.
    pub name: &'static str,
    pub(crate) matches: fn(&str) -> bool,
    pub(crate) handler: fn(&SandboxState, &ServerRequest) -> ServerResponse,
}

/// All routes, in the order in which they are matched.
pub const ROUTES: &[Route] = &[
    Route { name: "token", matches: |path| token::PATHS.contains(&path), handler: token::handle },
    Route {
        name: "metadata",
        matches: |path| path == "/" || path.starts_with("/computeMetadata"),
        handler: metadata::handle,
    },
    Route {
        name: "tokeninfo",
        matches: |path| identity::TOKENINFO_PATHS.contains(&path),
        handler: identity::tokeninfo,
    },
    Route { name: "userinfo", matches: |path| identity::USERINFO_PATHS.contains(&path), handler: identity::userinfo },
    Route { name: "certs", matches: |path| identity::CERTS_PATHS.contains(&path), handler: identity::certs },
    Route { name: "revoke", matches: |path| path == "/revoke", handler: token::revoke },
    Route {
        name: "authorize",
        matches: |path| authorize::GOOGLE_PATHS.contains(&path),
        handler: authorize::handle_google,
    },
    Route { name: "device-code", matches: |path| path == "/device/code", handler: device::handle_device_code },
    Route { name: "device", matches: |path| path == device::VERIFICATION_PATH, handler: device::handle_verification },
    Route { name: "discovery", matches: |path| path == openid::DISCOVERY_PATH, handler: openid::google_discovery },
    Route { name: "reauth", matches: reauth::is_reauth_path, handler: reauth::handle },
    Route { name: "sts", matches: |path| path == "/v1/token", handler: exchange::handle_exchange },
    Route { name: "oauthtoken", matches: |path| path == "/v1/oauthtoken", handler: session::handle_token },
    Route { name: "introspect", matches: |path| path == "/v1/introspect", handler: session::introspect },
    Route { name: "sts-revoke", matches: |path| path == "/v1/revoke", handler: session::revoke },
    Route {
        name: "workforce-authorize",
        matches: |path| path == authorize::WORKFORCE_PATH,
        handler: authorize::handle_workforce,
    },
    Route { name: "iam", matches: |path| path.starts_with(iam::PATH_PREFIX), handler: iam::handle },
    Route { name: "aws", matches: |path| path.starts_with(aws::PATH_PREFIX), handler: aws::handle },
    Route { name: "subject", matches: |path| subject::PATHS.contains(&path), handler: subject::handle },
    Route {
        name: "oidc-discovery",
        matches: |path| path == "/oidc/.well-known/openid-configuration",
        handler: openid::external_discovery,
    },
    Route { name: "oidc-jwks", matches: |path| path == "/oidc/jwks", handler: openid::jwks },
    Route {
        name: "oidc-authorize",
        matches: |path| path == authorize::EXTERNAL_PATH,
        handler: authorize::handle_external,
    },
    Route { name: "oidc-token", matches: |path| path == "/oidc/token", handler: openid::handle_token },
    Route { name: "oidc-revoke", matches: |path| path == "/oidc/revoke", handler: openid::revoke },
    Route {
        name: "oidc-device-code",
        matches: |path| path == "/oidc/device/code",
        handler: device::handle_external_device_code,
    },
    Route {
        name: "oidc-device",
        matches: |path| path == device::EXTERNAL_VERIFICATION_PATH,
        handler: device::handle_external_verification,
    },
    Route { name: "api", matches: service::is_api_path, handler: service::handle_api },
    Route { name: "service", matches: service::is_service_path, handler: service::handle_service },
    Route { name: "gdch", matches: |path| path == gdch::AUTHENTICATE_PATH, handler: gdch::handle },
];
