//! The names of the files and folders in the sandbox's folder that several files refer to.

/// The service account key.
pub(crate) const SERVICE_ACCOUNT_FILE: &str = "service_account.json";
/// The user's login.
pub(crate) const AUTHORIZED_USER_FILE: &str = "authorized_user.json";
pub(crate) const GCLOUD_FOLDER: &str = "gcloud";
pub(crate) const GAUTH_FOLDER: &str = "gauth";
/// The folder that is put in front of `PATH`.
pub(crate) const PROGRAMS_FOLDER: &str = "bin";
/// A file-sourced external account (OIDC).
pub(crate) const FILE_SOURCED_CONFIG_FILE: &str = "external_account_file.json";
/// An AWS-sourced external account.
pub(crate) const AWS_CONFIG_FILE: &str = "external_account_aws.json";
/// An executable-sourced external account (OIDC).
pub(crate) const EXECUTABLE_CONFIG_FILE: &str = "external_account_executable.json";
/// A certificate-sourced external account (X.509).
pub(crate) const X509_CONFIG_FILE: &str = "external_account_x509.json";
/// A file-sourced external account of a user in the workforce pool.
pub(crate) const WORKFORCE_CONFIG_FILE: &str = "external_account_workforce.json";
/// A user's login through the workforce pool.
pub(crate) const WORKFORCE_LOGIN_FILE: &str = "external_account_authorized_user.json";
/// The user, impersonating a service account.
pub(crate) const IMPERSONATED_SERVICE_ACCOUNT_FILE: &str = "impersonated_service_account.json";
/// The service account of Google Distributed Cloud.
pub(crate) const GDCH_SERVICE_ACCOUNT_FILE: &str = "gdch_service_account.json";
/// The certificate authority to trust for TLS.
pub(crate) const CA_CERTIFICATE_FILE: &str = "ca.pem";
/// The OAuth client for installed applications.
pub(crate) const INSTALLED_CLIENT_FILE: &str = "client_secret.json";
