//! The token type identifiers of RFC 8693, section 3, and those that Google adds.

/// An OAuth access token, which STS issues and can downscope.
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A JSON Web Token of an OIDC provider.
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// An OpenID Connect ID token.
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// A base64-encoded SAML 2.0 response.
pub(crate) const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
/// A chain of X.509 client certificates whose leaf is presented by mutual TLS.
pub(crate) const MTLS: &str = "urn:ietf:params:oauth:token-type:mtls";
/// A signed request for `GetCallerIdentity` of AWS STS.
pub(crate) const AWS4_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";
/// A Kubernetes service account token, which Google Distributed Cloud accepts.
pub(crate) const KUBERNETES_SERVICE_ACCOUNT: &str = "urn:k8s:params:oauth:token-type:serviceaccount";
