//! From an `OidcClient` to a valid client. Repeats what the schema refuses: an older schema, or one that somebody
//! changed, must not let through what the provider relies on.

mod client_id;
mod jwks;
mod profile;
mod resources;
mod service_accounts;
mod tokens;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::controller::ControllerSettings;
use crate::controller::condition::Verdict;
use crate::controller::queue::{key_of, uid_of};
use crate::controller::secret::PASSWORD_SUFFIX;
use crate::crd::v1alpha1::condition::reason;
use crate::crd::v1alpha1::{
    self as crd, DurationText, GrantType as CrdGrantType, MAX_NAME_LENGTH, OidcClient, OidcClientSpec, Scope,
    TokenEndpointAuthMethod,
};
use crate::oidc::access::Access;
use crate::oidc::allowed_origin::AllowedOrigin;
use crate::oidc::client::{Client, ClientAuthenticationMethod, ConsentPolicy, Pkce, SubjectType};
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::redirect_uri::{self, RedirectUri};
use crate::oidc::scope::{self, ScopeSet};
use crate::oidc::sector_identifier::sector_identifier;
use crate::store::records::{ClientRecord, ResourceRef};

use super::rotation::{Plan, Requests};

/// Longer than any sensible lifetime, and short enough for every sum with a time.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24 * 3_650);
/// A new secret more often than this helps nobody.
const SHORTEST_INTERVAL: Duration = Duration::from_hours(1);
/// An old secret that stays valid for longer was not replaced.
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 30);
const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

/// A client that may be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidClient {
    pub(super) resource: ResourceRef,
    pub(super) generation: Option<i64>,
    pub(super) client: Client,
    pub(super) secret_name: String,
    /// The scopes in the order of the spec, as the Secret shows them.
    pub(super) scopes: Vec<&'static str>,
    pub(super) rotation: Plan,
    pub(super) requests: Requests,
}

/// Checks everything against what is `known` of the client; the verdict names the field and says why.
pub(super) fn validate(
    resource: &OidcClient,
    settings: &ControllerSettings,
    known: Option<&ClientRecord>,
) -> Result<ValidClient, Verdict> {
    let (key, uid) = identity_of(resource)?;
    // Destructured without `..`, so that a new field does not compile until it is handled here.
    let OidcClientSpec {
        client_id,
        display_name,
        description,
        redirect_uris,
        post_logout_redirect_uris,
        backchannel_logout_uri,
        backchannel_logout_session_required,
        allowed_origins,
        grant_types,
        scopes,
        audiences,
        resource_identifiers,
        resource_access,
        token_endpoint_auth_methods,
        jwks,
        require_signed_request_object,
        service_accounts,
        pkce,
        require_pushed_authorization_requests,
        dpop_bound_access_tokens,
        consent,
        default_max_age,
        subject_type,
        profile,
        tokens,
        access,
        secret,
        rotation,
        suspend,
    } = &resource.spec;

    let methods = methods_of(token_endpoint_auth_methods)?;
    let service_accounts = service_accounts::accounts(service_accounts, &methods, known)?;
    let jwks = jwks::keys(jwks.as_ref(), &methods, &service_accounts)?;
    let grant_types = grant_types_of(grant_types, redirect_uris, &methods)?;
    check_addresses(&resource.spec)?;
    resources::lists(audiences, resource_identifiers, &settings.issuer)?;
    let secret_name = secret_name_of(&key, secret.as_ref(), settings)?;
    let scopes = scopes_of(scopes)?;
    let client = Client {
        uid,
        client_id: client_id::decide(&key, client_id.as_deref(), settings, known)?,
        client_name: client_name_of(display_name.as_deref(), &key)?,
        description: shown("spec.description", description.as_deref(), 512)?,
        redirect_uris: redirect_uris.clone(),
        post_logout_redirect_uris: post_logout_redirect_uris.clone(),
        backchannel_logout_uri: backchannel_logout_uri.clone(),
        backchannel_logout_session_required: *backchannel_logout_session_required,
        allowed_origins: allowed_origins.clone(),
        grant_types,
        scopes: scopes.iter().copied().collect::<ScopeSet>(),
        require_signed_request_object: jwks::required(*require_signed_request_object, &jwks)?,
        jwks,
        service_accounts,
        pkce: pkce_of(*pkce, token_endpoint_auth_methods)?,
        require_pushed_authorization_requests: *require_pushed_authorization_requests,
        dpop_bound_access_tokens: *dpop_bound_access_tokens,
        token_endpoint_auth_methods: methods,
        consent: consent_of(*consent, settings)?,
        default_max_age: max_age_of(default_max_age.as_ref())?,
        subject_type: subject_type_of(*subject_type, redirect_uris)?,
        lifetimes: tokens::lifetimes(tokens.as_ref())?,
        access_token_format: tokens::format(tokens.as_ref()),
        audiences: audiences.clone(),
        resource_identifiers: resource_identifiers.clone(),
        resource_namespaces: resources::namespaces(resource_access.as_ref())?,
        signing: tokens.as_ref().map(tokens::signing).unwrap_or_default(),
        profile: profile.map(profile::of),
        access: access.as_ref().map(access_of).unwrap_or_default(),
        suspended: *suspend,
    };
    profile::check(&client, tokens.as_ref())?;
    Ok(ValidClient {
        resource: key,
        generation: resource.metadata.generation,
        client,
        secret_name,
        scopes,
        rotation: plan(rotation.as_ref())?,
        requests: Requests::of(resource),
    })
}

/// Of which resource the registration is.
fn identity_of(resource: &OidcClient) -> Result<(ResourceRef, ResourceUid), Verdict> {
    let (Some(key), Some(uid)) = (key_of(resource), uid_of(resource)) else {
        return Err(invalid("metadata", "has no name or uid"));
    };
    if key.name.len() > MAX_NAME_LENGTH {
        return Err(invalid("metadata.name", "must be at most 63 characters long"));
    }
    Ok((key, uid))
}

/// Where people, scripts and claviger itself go.
fn check_addresses(spec: &OidcClientSpec) -> Result<(), Verdict> {
    can_be_redirected_to("spec.redirectUris", &spec.redirect_uris)?;
    can_be_redirected_to("spec.postLogoutRedirectUris", &spec.post_logout_redirect_uris)?;
    backchannel_logout_of(
        spec.backchannel_logout_uri.as_deref(),
        spec.backchannel_logout_session_required,
    )?;
    for (index, origin) in spec.allowed_origins.iter().enumerate() {
        AllowedOrigin::parse(origin)
            .map_err(|why| invalid(&format!("spec.allowedOrigins[{index}]"), &why.to_string()))?;
    }
    Ok(())
}

fn can_be_redirected_to(field: &str, uris: &[String]) -> Result<(), Verdict> {
    for (index, uri) in uris.iter().enumerate() {
        RedirectUri::parse(uri).map_err(|why| invalid(&format!("{field}[{index}]"), &why.to_string()))?;
    }
    Ok(())
}

fn backchannel_logout_of(uri: Option<&str>, session_required: bool) -> Result<(), Verdict> {
    const FIELD: &str = "spec.backchannelLogoutUri";
    match uri {
        None if session_required => Err(invalid(
            "spec.backchannelLogoutSessionRequired",
            "needs spec.backchannelLogoutUri, without which the app is told nothing",
        )),
        None => Ok(()),
        Some(uri) => {
            RedirectUri::parse(uri).map_err(|why| invalid(FIELD, &why.to_string()))?;
            if redirect_uri::takes_forms(uri) {
                Ok(())
            } else {
                Err(invalid(FIELD, "must be https: claviger itself goes there"))
            }
        }
    }
}

fn consent_of(given: crd::Consent, settings: &ControllerSettings) -> Result<ConsentPolicy, Verdict> {
    match given {
        crd::Consent::Remember => Ok(ConsentPolicy::Remember),
        crd::Consent::Always => Ok(ConsentPolicy::Always),
        crd::Consent::Skip if settings.allow_consent_skip => Ok(ConsentPolicy::Skip),
        crd::Consent::Skip => Err(skip_not_allowed()),
    }
}

fn subject_type_of(given: crd::SubjectType, redirect_uris: &[String]) -> Result<SubjectType, Verdict> {
    match given {
        crd::SubjectType::Public => Ok(SubjectType::Public),
        crd::SubjectType::Pairwise => sector_identifier(redirect_uris)
            .map(|sector_identifier| SubjectType::Pairwise { sector_identifier })
            .map_err(|why| invalid("spec.subjectType", &why.to_string())),
    }
}

fn skip_not_allowed() -> Verdict {
    Verdict::no(
        reason::NOT_ALLOWED,
        "spec.consent Skip is accepted only where claviger runs with --allow-consent-skip; ask whoever runs it, or choose \
         Remember",
    )
}

fn plan(rotation: Option<&crd::Rotation>) -> Result<Plan, Verdict> {
    let (interval, overlap) = match rotation {
        None => (None, DEFAULT_OVERLAP),
        Some(crd::Rotation { interval, overlap }) => (
            interval
                .as_ref()
                .map(|interval| duration("spec.rotation.interval", interval))
                .transpose()?,
            duration("spec.rotation.overlap", overlap)?,
        ),
    };
    if overlap > LONGEST_OVERLAP {
        return Err(invalid("spec.rotation.overlap", "must be at most 30d"));
    }
    if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
        return Err(invalid("spec.rotation.interval", "must be at least 1h"));
    }
    if interval.is_some_and(|interval| interval <= overlap) {
        return Err(invalid(
            "spec.rotation.interval",
            "must be longer than spec.rotation.overlap, which is 24h by default",
        ));
    }
    Ok(Plan { interval, overlap })
}

fn invalid(field: &str, why: &str) -> Verdict {
    Verdict::no(reason::INVALID_SPEC, format!("{field} {why}"))
}

fn grant_types_of(
    given: &[CrdGrantType],
    redirect_uris: &[String],
    methods: &BTreeSet<ClientAuthenticationMethod>,
) -> Result<BTreeSet<GrantType>, Verdict> {
    let grant_types: BTreeSet<GrantType> = given
        .iter()
        .map(|grant_type| match grant_type {
            CrdGrantType::AuthorizationCode => GrantType::AuthorizationCode,
            CrdGrantType::RefreshToken => GrantType::RefreshToken,
            CrdGrantType::ClientCredentials => GrantType::ClientCredentials,
            CrdGrantType::DeviceCode => GrantType::DeviceCode,
        })
        .collect();
    let has_codes = grant_types.contains(&GrantType::AuthorizationCode);
    let acts_for_itself = grant_types.contains(&GrantType::ClientCredentials);
    let has_people = grant_types
        .iter()
        .any(|grant_type| grant_type.begins_with_a_person());
    if !has_people && !acts_for_itself {
        return Err(invalid(
            "spec.grantTypes",
            "must hold authorization_code, client_credentials or urn:ietf:params:oauth:grant-type:device_code, by which \
             everything else is obtained",
        ));
    }
    if grant_types.contains(&GrantType::RefreshToken) && !has_people {
        return Err(invalid(
            "spec.grantTypes",
            "with refresh_token needs authorization_code or urn:ietf:params:oauth:grant-type:device_code too, by which the \
             first refresh token is obtained",
        ));
    }
    // RFC 6749 section 4.4.
    if acts_for_itself && methods.contains(&ClientAuthenticationMethod::None) {
        return Err(invalid(
            "spec.grantTypes",
            "with client_credentials needs a client that authenticates: anybody can say that they are a public client (none)",
        ));
    }
    if has_codes && redirect_uris.is_empty() {
        return Err(invalid(
            "spec.redirectUris",
            "is required with the grant type authorization_code",
        ));
    }
    Ok(grant_types)
}

fn methods_of(given: &[TokenEndpointAuthMethod]) -> Result<BTreeSet<ClientAuthenticationMethod>, Verdict> {
    let methods: BTreeSet<ClientAuthenticationMethod> = given
        .iter()
        .map(|method| match method {
            TokenEndpointAuthMethod::ClientSecretBasic => ClientAuthenticationMethod::ClientSecretBasic,
            TokenEndpointAuthMethod::ClientSecretPost => ClientAuthenticationMethod::ClientSecretPost,
            TokenEndpointAuthMethod::PrivateKeyJwt => ClientAuthenticationMethod::PrivateKeyJwt,
            TokenEndpointAuthMethod::None => ClientAuthenticationMethod::None,
        })
        .collect();
    if methods.is_empty() {
        return Err(invalid("spec.tokenEndpointAuthMethods", "must not be empty"));
    }
    if methods.contains(&ClientAuthenticationMethod::None) && methods.len() > 1 {
        return Err(invalid(
            "spec.tokenEndpointAuthMethods",
            "with none (a public client) cannot have another method beside it",
        ));
    }
    Ok(methods)
}

fn pkce_of(given: crd::Pkce, methods: &[TokenEndpointAuthMethod]) -> Result<Pkce, Verdict> {
    match given {
        crd::Pkce::Required => Ok(Pkce::Required),
        crd::Pkce::Optional if methods.contains(&TokenEndpointAuthMethod::None) => Err(invalid(
            "spec.pkce",
            "cannot be Optional for a public client (tokenEndpointAuthMethods: [none]), whose codes nothing else protects",
        )),
        crd::Pkce::Optional => Ok(Pkce::Optional),
    }
}

fn scopes_of(given: &[Scope]) -> Result<Vec<&'static str>, Verdict> {
    if given.is_empty() {
        return Err(invalid("spec.scopes", "must not be empty"));
    }
    Ok(given
        .iter()
        .map(|scope| match scope {
            Scope::Openid => scope::OPENID,
            Scope::Profile => scope::PROFILE,
            Scope::Email => scope::EMAIL,
            Scope::Address => scope::ADDRESS,
            Scope::Phone => scope::PHONE,
            Scope::Groups => scope::GROUPS,
            Scope::OfflineAccess => scope::OFFLINE_ACCESS,
        })
        .collect())
}

fn max_age_of(given: Option<&DurationText>) -> Result<Option<Duration>, Verdict> {
    given.map(|text| duration("spec.defaultMaxAge", text)).transpose()
}

fn duration(field: &str, text: &DurationText) -> Result<Duration, Verdict> {
    match text.parse() {
        Some(duration) if duration <= LONGEST_LIFETIME => Ok(duration),
        Some(_) => Err(invalid(field, "must be at most 3650d")),
        None => Err(invalid(field, "must be written like 90s, 10m, 14d")),
    }
}

fn access_of(access: &crd::Access) -> Access {
    let crd::Access {
        allowed_groups,
        allowed_users,
    } = access;
    Access {
        allowed_groups: allowed_groups.clone(),
        allowed_users: allowed_users.clone(),
    }
}

fn client_name_of(given: Option<&str>, key: &ResourceRef) -> Result<String, Verdict> {
    let shown = shown("spec.displayName", given, 128)?;
    Ok(shown.unwrap_or_else(|| key.name.clone()))
}

/// Text that people read on the consent page.
fn shown(field: &str, text: Option<&str>, longest: usize) -> Result<Option<String>, Verdict> {
    let Some(text) = text else { return Ok(None) };
    crate::controller::text::shown(text, longest).map_err(|why| invalid(field, why))?;
    Ok(Some(text.to_owned()))
}

fn secret_name_of(
    key: &ResourceRef,
    secret: Option<&crd::SecretSettings>,
    settings: &ControllerSettings,
) -> Result<String, Verdict> {
    let secret_name = secret
        .and_then(|crd::SecretSettings { name }| name.clone())
        .unwrap_or_else(|| format!("{}-oidc", key.name));
    not_reserved(key, &secret_name, settings)?;
    Ok(secret_name)
}

fn not_reserved(key: &ResourceRef, secret_name: &str, settings: &ControllerSettings) -> Result<(), Verdict> {
    let reserved = key.namespace == settings.namespace
        && (secret_name == settings.keyring_secret_name || secret_name.ends_with(PASSWORD_SUFFIX));
    if reserved {
        return Err(Verdict::no(
            reason::SECRET_NAME_CONFLICT,
            format!(
                "spec.secret.name {secret_name} is reserved in the namespace {}, where claviger keeps its keyring and the \
                 passwords of users; choose another name",
                key.namespace
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
