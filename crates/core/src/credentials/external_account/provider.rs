//! The names of workload and workforce identity providers.

use crate::text::printable;
use crate::text::visible_ascii::check_visible_ascii;

/// The kind of identity provider that an audience names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceKind {
    /// A provider of a workload identity pool.
    Workload,
    /// A provider of a workforce identity pool.
    Workforce,
    /// A name that only its STS knows.
    Other,
}

/// The prefix of audiences that are resource names.
const AUDIENCE_PREFIX: &str = "//iam.googleapis.com/";

/// The form of a workload identity provider's name, for hints.
pub const PROVIDER_NAME_FORMAT: &str = "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER";

impl AudienceKind {
    /// Parses the audience of a credential file.
    ///
    /// # Errors
    /// What is malformed, as the end of a sentence.
    pub fn parse(audience: &str) -> Result<AudienceKind, String> {
        check_visible_ascii(audience)?;
        let Some(name) = audience.strip_prefix(AUDIENCE_PREFIX) else {
            return Ok(AudienceKind::Other);
        };
        let parts: Vec<&str> = name.split('/').collect();
        Ok(match parts.as_slice() {
            ["projects", _, "locations", _, "workloadIdentityPools", ..] => AudienceKind::Workload,
            ["locations", _, "workforcePools", ..] => AudienceKind::Workforce,
            _ => AudienceKind::Other,
        })
    }
}

/// The audience of a provider that the user named, as the console shows it: with or without the prefix of audiences.
///
/// # Errors
/// What is malformed, as the end of a sentence, and the hint.
pub fn audience_of_provider(name: &str) -> Result<String, (String, String)> {
    let format_hint = || PROVIDER_NAME_FORMAT.to_owned();
    check_visible_ascii(name).map_err(|what| (what, format_hint()))?;
    let bare = name
        .strip_prefix("https:")
        .unwrap_or(name)
        .strip_prefix(AUDIENCE_PREFIX)
        .unwrap_or(name.trim_start_matches('/'));
    let parts: Vec<&str> = bare.split('/').collect();
    match parts.as_slice() {
        ["projects", project, "locations", location, "workloadIdentityPools", pool, "providers", provider]
            if [location, pool, provider].iter().all(|part| !part.is_empty()) =>
        {
            match !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit()) {
                true => Ok(format!("{AUDIENCE_PREFIX}{bare}")),
                false => Err((
                    format!("has the project ID {} in place of the project's number", printable::text(project)),
                    format!(
                        "gcloud projects describe {} --format='value(projectNumber)' prints the number",
                        printable::text(project)
                    ),
                )),
            }
        }
        ["projects", _, "locations", _, "workloadIdentityPools", _] => Err((
            "names a pool, not one of its providers".to_owned(),
            format!("{}/providers/PROVIDER", printable::text(bare)),
        )),
        ["locations", _, "workforcePools", pool, "providers", provider] if !pool.is_empty() && !provider.is_empty() => {
            Ok(format!("{AUDIENCE_PREFIX}{bare}"))
        }
        ["locations", _, "workforcePools", _] => Err((
            "names a pool, not one of its providers".to_owned(),
            format!("{}/providers/PROVIDER", printable::text(bare)),
        )),
        _ => Err(("is not the name of a workload identity provider".to_owned(), format_hint())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_are_told_apart_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["audience"].as_array().expect("cases") {
            let kind = match AudienceKind::parse(case["in"].as_str().expect("text")).expect("audience") {
                AudienceKind::Workload => "workload",
                AudienceKind::Workforce => "workforce",
                AudienceKind::Other => "other",
            };
            assert_eq!(Some(kind), case["kind"].as_str(), "{case}");
        }
    }

    #[test]
    fn a_provider_is_named_in_full_with_the_number_of_the_project() {
        let full = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";
        for name in [full, &full[2..], &full["//iam.googleapis.com/".len()..], &format!("https:{full}")] {
            // Without the slashes.
            if name.starts_with("iam.") {
                continue;
            }
            assert_eq!(audience_of_provider(name).as_deref(), Ok(full), "{name}");
        }
        for (name, what) in [
            (
                "projects/my-project/locations/global/workloadIdentityPools/p/providers/q",
                "in place of the project's number",
            ),
            ("projects/1/locations/global/workloadIdentityPools/p", "names a pool"),
            ("locations/global/workforcePools/p", "names a pool"),
            ("projects/1/locations/global/workloadIdentityPools/p/providers/", "is not the name"),
            ("q", "is not the name"),
            ("projects/1/loc ations", "a space"),
        ] {
            let (error, hint) = audience_of_provider(name).expect_err(name);
            assert!(error.contains(what) && !hint.is_empty(), "{name}: {error}");
        }
    }
}
