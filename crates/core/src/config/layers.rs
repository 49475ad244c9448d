//! The order of precedence: flag, `GAUTH_*`, Google's variable, profile in `config.toml`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::file::ActiveProfile;
use crate::config::parse::{
    flag_text, parse_impersonation_chain, parse_lifetime, parse_scopes, parse_subject, subject_token_location,
};
use crate::config::{Overrides, Sourced};
use crate::credentials::external_account::provider;
use crate::credentials::external_account::workload::{SubjectTokenLocation, WorkloadIdentity};
use crate::error::{Error, Result};
use crate::net::endpoint_policy;
use crate::tokens::AccessTokenRequest;
use crate::world::env::Variable;
use crate::world::{World, env};

/// The layers of the configuration, each of which goes before the next.
pub(super) struct ConfigLayers<'a> {
    pub(super) flags: &'a Overrides,
    pub(super) world: &'a World,
    pub(super) profile: &'a ActiveProfile,
}

impl ConfigLayers<'_> {
    /// A value that is text.
    pub(super) fn text(
        &self,
        flag: &str,
        flag_value: &Option<OsString>,
        variables: &[Variable],
        profile_value: &Option<String>,
    ) -> Result<Option<Sourced<String>>> {
        if let Some(value) = flag_value {
            return Ok(Some(Sourced::explicit(flag_text(flag, value)?, flag)));
        }
        for variable in variables {
            if let Some(value) = self.world.env.text(variable)? {
                return Ok(Some(Sourced::explicit(value, variable.name)));
            }
        }
        Ok(self.in_profile(profile_value))
    }

    /// A path, which need not be text.
    pub(super) fn path(
        &self,
        flag: &str,
        flag_value: &Option<OsString>,
        variable: &Variable,
        profile_value: &Option<String>,
    ) -> Option<Sourced<PathBuf>> {
        let from_flag = flag_value.clone().map(|value| Sourced::explicit(value, flag));
        let from_variable = || Some(Sourced::explicit(self.world.env.os(variable)?, variable.name));
        match from_flag.or_else(from_variable) {
            Some(chosen) => Some(chosen.map(PathBuf::from)),
            None => self.in_profile(profile_value).map(|chosen| chosen.map(PathBuf::from)),
        }
    }

    fn in_profile<T: Clone>(&self, value: &Option<T>) -> Option<Sourced<T>> {
        let value = value.clone()?;
        let (origin, explicit) = (self.profile.location.clone(), self.profile.explicit);
        Some(Sourced { value, origin, explicit })
    }

    /// A credential file. `GAUTH_CREDENTIALS` is not here: it is a source of its own in the search.
    pub(super) fn credentials(&self) -> Option<Sourced<OsString>> {
        match self.flags.credentials.clone() {
            Some(value) => Some(Sourced::explicit(value, "--credentials")),
            None => {
                let chosen = self.in_profile(&self.profile.profile.credentials)?;
                Some(chosen.map(OsString::from))
            }
        }
    }

    /// Hosts, which all layers add to.
    pub(super) fn hosts(
        &self,
        flag: &str,
        flag_values: &[OsString],
        variable: &Variable,
        profile_hosts: &Option<Vec<String>>,
    ) -> Result<Vec<String>> {
        let mut hosts = Vec::new();
        for value in flag_values {
            hosts.push(endpoint_policy::check_host(&flag_text(flag, value)?, flag)?);
        }
        if let Some(list) = self.world.env.text(variable)? {
            for value in list.split([',', ' ']).filter(|value| !value.is_empty()) {
                hosts.push(endpoint_policy::check_host(value, variable.name)?);
            }
        }
        for value in profile_hosts.iter().flatten() {
            hosts.push(endpoint_policy::check_host(value, &self.profile.location)?);
        }
        Ok(hosts)
    }

    pub(super) fn access_token_request(&self) -> Result<AccessTokenRequest> {
        let text = |flag, value: &Option<OsString>| value.as_deref().map(|value| flag_text(flag, value)).transpose();
        Ok(AccessTokenRequest {
            scopes: match self.scopes()? {
                Some(scope_lists) => parse_scopes(&scope_lists)?,
                None => Vec::new(),
            },
            subject: text("--subject", &self.flags.subject)?.map(parse_subject).transpose()?,
            lifetime: text("--lifetime", &self.flags.lifetime)?.map(parse_lifetime).transpose()?,
            for_iam: false,
        })
    }

    /// The scopes as they were typed; `None` when there are none.
    fn scopes(&self) -> Result<Option<Sourced<Vec<String>>>> {
        let flag = "--scopes";
        if !self.flags.scopes.is_empty() {
            let scope_lists = self.flags.scopes.iter().map(|value| flag_text(flag, value));
            return Ok(Some(Sourced::explicit(scope_lists.collect::<Result<_>>()?, flag)));
        }
        if let Some(value) = self.world.env.text(&env::GAUTH_SCOPES)? {
            return Ok(Some(Sourced::explicit(vec![value], env::GAUTH_SCOPES.name)));
        }
        let in_profile = self.in_profile(&self.profile.profile.scopes);
        Ok(in_profile.filter(|scope_lists| !scope_lists.value.is_empty()))
    }

    pub(super) fn workload_identity(&self) -> Result<Option<Sourced<WorkloadIdentity>>> {
        let flag = "--workload-identity-provider";
        let subject_token = subject_token_location(self.flags)?;
        let provider = self.text(
            flag,
            &self.flags.workload_identity_provider,
            &[env::GAUTH_WORKLOAD_IDENTITY_PROVIDER],
            &self.profile.profile.workload_identity_provider,
        )?;
        let Some(provider) = provider else {
            return match subject_token {
                SubjectTokenLocation::CiSystem => Ok(None),
                _ => Err(Error::usage("a subject token is named, but no provider")
                    .hint(format!("{flag} {}", provider::PROVIDER_NAME_FORMAT))),
            };
        };
        let audience = provider::audience_of_provider(&provider.value)
            .map_err(|(what, hint)| Error::usage(format!("{} {what}", provider.origin)).hint(hint))?;
        Ok(Some(provider.map(|_| WorkloadIdentity { audience, subject_token })))
    }

    pub(super) fn impersonation_chain(&self) -> Result<Option<Sourced<Vec<String>>>> {
        let chain = self.text(
            "--impersonate-service-account",
            &self.flags.impersonate_service_account,
            &[env::GAUTH_IMPERSONATE_SERVICE_ACCOUNT, env::CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT],
            &self.profile.profile.impersonate_service_account,
        )?;
        chain.map(|chain| parse_impersonation_chain(&chain)).transpose()
    }
}
