//! OAuth scopes as users write them and as Google names them.

/// The scope of everything in Google Cloud, and the default where a kind must name one.
pub const CLOUD_PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The scope that lets a token make others at IAM, and nothing else.
pub const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";

/// Scopes as the user wrote them, made whole: a name without `:` and `/` gets Google's prefix, but for
/// the three of OpenID Connect. Sorted and without repetitions.
pub fn expand_scopes<'a>(scope_lists: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = scope_lists
        .into_iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|word| !word.is_empty())
        .map(|word| match word {
            "openid" | "email" | "profile" => word.to_owned(),
            _ if word.contains([':', '/']) => word.to_owned(),
            _ => format!("https://www.googleapis.com/auth/{word}"),
        })
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

/// Whether two names are of the same scope: Google answers two of OpenID Connect's with names of its own.
pub fn is_same_scope(one: &str, other: &str) -> bool {
    let canonical = |scope| match scope {
        "email" => "https://www.googleapis.com/auth/userinfo.email".to_owned(),
        "profile" => "https://www.googleapis.com/auth/userinfo.profile".to_owned(),
        _ => String::from(scope),
    };
    canonical(one) == canonical(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_scopes_get_googles_prefix() {
        assert_eq!(
            expand_scopes(["openid,cloud-platform", "email https://mail.google.com/", "cloud-platform"]),
            ["email", "https://mail.google.com/", CLOUD_PLATFORM_SCOPE, "openid"]
        );
    }

    #[test]
    fn googles_names_for_email_and_profile_are_the_same_scopes() {
        assert!(is_same_scope("https://www.googleapis.com/auth/userinfo.email", "email"));
        assert!(is_same_scope("openid", "openid") && !is_same_scope("openid", "email"));
    }
}
