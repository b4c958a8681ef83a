//! Registered client metadata under the names of RFC 7591: the one type that controller, store and provider share.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::grant_type::GrantType;
use super::identifier::{ClientId, ResourceUid};
use super::jwk::Jwk;
use super::profile::Profile;
use super::scope::ScopeSet;
use super::signing_algorithm::SigningAlgorithm;

/// A registered client. Values are valid by construction of whoever registers it (the controller, which applies
/// [`super::redirect_uri::RedirectUri::parse`] and the other rules before it builds one).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the members of the specification")]
pub struct Client {
    /// The resource behind the registration. A client made again under the same name has another uid and is another
    /// client: codes and tokens are bound to this, not to the name.
    pub uid: ResourceUid,
    /// `client_id`.
    pub client_id: ClientId,
    /// `client_name`, shown at sign-in and consent.
    pub client_name: String,
    /// One sentence about the app for the consent page.
    pub description: Option<String>,
    /// `redirect_uris`, byte for byte as registered.
    pub redirect_uris: Vec<String>,
    /// `post_logout_redirect_uris` (RP-Initiated Logout section 3.1), byte for byte as registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// `backchannel_logout_uri` (OpenID Connect Back-Channel Logout section 2.2): where it is told that a session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// `backchannel_logout_session_required`: it does not understand a logout token without `sid`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    /// Origins whose scripts may call the token and userinfo endpoints (CORS).
    pub allowed_origins: Vec<String>,
    /// `grant_types`.
    pub grant_types: BTreeSet<GrantType>,
    /// What it may ask for (`scope` of RFC 7591).
    pub scopes: ScopeSet,
    /// Each method that is accepted. RFC 7591 has one; apps disagree about which, so we take a set.
    pub token_endpoint_auth_methods: BTreeSet<ClientAuthenticationMethod>,
    /// `jwks`: public keys, which verify what the client signs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jwks: Vec<Jwk>,
    /// `require_signed_request_object` (RFC 9101 section 10.5): whether an authorization request must be one that it signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_signed_request_object: bool,
    /// Kubernetes ServiceAccounts of the resource's namespace whose tokens are the client's assertions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<ServiceAccount>,
    /// Whether an authorization request needs a `code_challenge`.
    #[serde(default)]
    pub pkce: Pkce,
    /// `require_pushed_authorization_requests` (RFC 9126 section 6): whether an authorization request must have been pushed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// `dpop_bound_access_tokens` (RFC 9449 section 5.2): whether every token request needs a proof of a key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// When the person is asked for consent.
    pub consent: ConsentPolicy,
    /// `default_max_age` (OpenID Connect Registration section 2).
    pub default_max_age: Option<Duration>,
    /// `subject_type`: by which `sub` it knows people.
    #[serde(default, skip_serializing_if = "SubjectType::is_public")]
    pub subject_type: SubjectType,
    /// How long what it is given lives.
    pub lifetimes: TokenLifetimes,
    /// What its access tokens look like.
    #[serde(default, skip_serializing_if = "AccessTokenFormat::is_jwt")]
    pub access_token_format: AccessTokenFormat,
    /// Resource indicators (RFC 8707) that it may ask access tokens for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// The audiences under which it is a resource server itself, whose access tokens it may introspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_identifiers: Vec<String>,
    /// Namespaces whose clients may ask for tokens for its `resource_identifiers`, beside its own; [`ANY_NAMESPACE`] means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_namespaces: Vec<String>,
    /// By which algorithms what it is given is signed.
    #[serde(default, skip_serializing_if = "TokenSigning::is_default")]
    pub signing: TokenSigning,
    /// What it is held to beyond that, see [`super::profile`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Who may sign in to it.
    pub access: Access,
    /// Refuses sign-in and tokens while true; everything is kept.
    pub suspended: bool,
}

/// Every namespace. No namespace can have this name.
pub const ANY_NAMESPACE: &str = "*";

impl Client {
    /// A public client has no credential (RFC 6749 section 2.1).
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_methods
            .contains(&ClientAuthenticationMethod::None)
    }

    /// Whether it may authenticate by a secret. Without one there is none in its Secret.
    pub fn has_secret(&self) -> bool {
        self.token_endpoint_auth_methods
            .iter()
            .any(|method| method.is_by_secret())
    }

    /// Whether scripts of `origin` may read answers to this client (CORS). Compared byte for byte.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// `token_endpoint_auth_method` values (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthenticationMethod {
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Credentials in the form (RFC 6749 section 2.3.1).
    ClientSecretPost,
    /// An assertion that the client signs (RFC 7523 section 2.2, OpenID Connect Core section 9).
    PrivateKeyJwt,
    /// A public client that only names itself.
    None,
}

impl ClientAuthenticationMethod {
    /// Every method, in the order in which discovery lists them.
    pub const ALL: [Self; 4] = [
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::PrivateKeyJwt,
        Self::None,
    ];

    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    const fn is_by_secret(self) -> bool {
        match self {
            Self::ClientSecretBasic | Self::ClientSecretPost => true,
            Self::PrivateKeyJwt | Self::None => false,
        }
    }
}

/// A Kubernetes ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid` of the one that exists, if one does: another one of the same name is another account.
    pub uid: Option<String>,
}

/// Whether an authorization request needs a `code_challenge` (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Pkce {
    /// Without one it is refused.
    #[default]
    Required,
    /// It may come without one. What comes with one still needs the verifier.
    Optional,
}

/// `subject_type` (OpenID Connect Core section 8).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// Everybody's `sub` is the same for all clients.
    #[default]
    Public,
    /// Everybody has another `sub` for each sector, so that apps cannot tell whom they have in common.
    Pairwise {
        /// The host of the client's redirect URIs.
        sector_identifier: String,
    },
}

impl SubjectType {
    /// `subject_types_supported` of discovery.
    pub const SUPPORTED: [&str; 2] = ["public", "pairwise"];

    fn is_public(&self) -> bool {
        *self == Self::Public
    }
}

/// When the person is asked for consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum ConsentPolicy {
    /// Once for a set of scopes; asked again when the client wants more.
    #[default]
    Remember,
    /// At every authorization.
    Always,
    /// Never, unless the request asks for it: whoever runs claviger vouches for the client.
    Skip,
}

/// What access tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    /// A JWT (RFC 9068), which a resource server verifies by itself.
    #[default]
    Jwt,
    /// A random value, which says nothing and is good only where claviger is asked.
    Opaque,
}

impl AccessTokenFormat {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_jwt(&self) -> bool {
        *self == Self::Jwt
    }
}

/// No token that a signing key signed lives for longer, whatever a client registers: the key is kept until the last of them
/// has expired, and one client must not keep everybody's.
pub const LONGEST_SIGNED_LIFETIME: Duration = Duration::from_hours(24);

/// How long what a client is given lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLifetimes {
    /// JWT access tokens; resource servers wait for this expiry, so it is short.
    pub access_token: Duration,
    /// ID tokens.
    pub id_token: Duration,
    /// A refresh token that is not used for this long dies.
    pub refresh_token_idle: Duration,
    /// A family of refresh tokens dies this long after it began.
    pub refresh_token: Duration,
}

impl Default for TokenLifetimes {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            access_token: Duration::from_secs(10 * MINUTE),
            id_token: Duration::from_secs(60 * MINUTE),
            refresh_token_idle: Duration::from_secs(14 * DAY),
            refresh_token: Duration::from_secs(90 * DAY),
        }
    }
}

/// By which algorithms what a client is given is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSigning {
    /// `id_token_signed_response_alg` (OpenID Connect Registration section 2).
    pub id_token: SigningAlgorithm,
    /// JWT access tokens.
    pub access_token: SigningAlgorithm,
}

impl TokenSigning {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TokenSigning {
    fn default() -> Self {
        Self {
            // Every relying party can verify it (OpenID Connect Core section 15.1).
            id_token: SigningAlgorithm::Rs256,
            // Made and sent most often, and smaller and cheaper to sign.
            access_token: SigningAlgorithm::Es256,
        }
    }
}
