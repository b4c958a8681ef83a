//! `OidcClient`: an app that signs people in.

#![expect(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]
#![expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, by its name in RFC 7591"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::DurationText;
use super::schema;

/// An app that signs people in through claviger. Its credentials appear in a Secret beside it.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "claviger.dev",
    version = "v1alpha1",
    kind = "OidcClient",
    plural = "oidcclients",
    namespaced,
    shortname = "oclient",
    category = "oidc",
    status = "OidcClientStatus",
    derive = "PartialEq",
    doc = "An app that signs people in through claviger. Its credentials appear in a Secret beside it.",
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must be at most 63 characters long, since it becomes the value of a label"),
    printcolumn(name = "Client ID", type_ = "string", json_path = ".status.clientId"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretRef.name"),
    printcolumn(
        name = "Redirect URIs",
        type_ = "string",
        priority = 1,
        json_path = ".spec.redirectUris"
    ),
    printcolumn(
        name = "Next Rotation",
        type_ = "date",
        priority = 1,
        json_path = ".status.nextRotation"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("!('authorization_code' in self.grantTypes) || (has(self.redirectUris) && size(self.redirectUris) > 0)")
    .message("redirectUris is required with the grant type authorization_code")
    .reason(Reason::FieldValueRequired)
    .field_path(".redirectUris"))]
#[x_kube(validation = Rule::new("!('refresh_token' in self.grantTypes) || 'authorization_code' in self.grantTypes || 'urn:ietf:params:oauth:grant-type:device_code' in self.grantTypes")
    .message("grantTypes with refresh_token needs authorization_code or urn:ietf:params:oauth:grant-type:device_code too, by which the first refresh token is obtained")
    .field_path(".grantTypes"))]
#[x_kube(validation = Rule::new("!('none' in self.tokenEndpointAuthMethods) || size(self.tokenEndpointAuthMethods) == 1")
    .message("tokenEndpointAuthMethods with none (a public client) cannot have another method beside it")
    .field_path(".tokenEndpointAuthMethods"))]
#[x_kube(validation = Rule::new("!('private_key_jwt' in self.tokenEndpointAuthMethods) || has(self.jwks) || has(self.serviceAccounts)")
    .message("jwks, the public keys of what the app signs with, or serviceAccounts is required with the method private_key_jwt")
    .reason(Reason::FieldValueRequired)
    .field_path(".jwks"))]
#[x_kube(validation = Rule::new("!has(self.serviceAccounts) || 'private_key_jwt' in self.tokenEndpointAuthMethods")
    .message("serviceAccounts needs tokenEndpointAuthMethods with private_key_jwt: a token of a ServiceAccount is a client assertion")
    .field_path(".serviceAccounts"))]
#[x_kube(validation = Rule::new("!('client_credentials' in self.grantTypes) || !('none' in self.tokenEndpointAuthMethods)")
    .message("grantTypes with client_credentials needs a client that authenticates: anybody can say that they are a public client (none)")
    .field_path(".grantTypes"))]
#[x_kube(validation = Rule::new("!self.requireSignedRequestObject || has(self.jwks)")
    .message("requireSignedRequestObject needs jwks, the keys that verify the requests")
    .field_path(".requireSignedRequestObject"))]
#[x_kube(validation = Rule::new("self.pkce != 'Optional' || !('none' in self.tokenEndpointAuthMethods)")
    .message("pkce cannot be Optional for a public client (tokenEndpointAuthMethods: [none]), whose codes nothing else protects")
    .field_path(".pkce"))]
#[x_kube(validation = Rule::new("!self.backchannelLogoutSessionRequired || has(self.backchannelLogoutUri)")
    .message("backchannelLogoutSessionRequired needs backchannelLogoutUri, without which the app is told nothing")
    .field_path(".backchannelLogoutSessionRequired"))]
#[x_kube(validation = Rule::new("!has(self.profile) || self.tokenEndpointAuthMethods == ['private_key_jwt']")
    .message("profile FAPI2 needs tokenEndpointAuthMethods: [private_key_jwt] and jwks; secrets, which are the default, and public clients are not part of it")
    .field_path(".tokenEndpointAuthMethods"))]
#[x_kube(validation = Rule::new("!has(self.profile) || !has(self.serviceAccounts)")
    .message("serviceAccounts cannot be with profile FAPI2, whose assertions count once; sign them with a key of jwks")
    .field_path(".serviceAccounts"))]
#[x_kube(validation = Rule::new("!has(self.profile) || self.pkce != 'Optional'")
    .message("pkce cannot be Optional with profile FAPI2")
    .field_path(".pkce"))]
#[x_kube(validation = Rule::new("!has(self.profile) || !('urn:ietf:params:oauth:grant-type:device_code' in self.grantTypes)")
    .message("grantTypes cannot hold urn:ietf:params:oauth:grant-type:device_code with profile FAPI2, whose requests are pushed")
    .field_path(".grantTypes"))]
#[x_kube(validation = Rule::new("!has(self.profile) || !has(self.redirectUris) || self.redirectUris.all(uri, uri.startsWith('https://'))")
    .message("redirectUris must all be https with profile FAPI2")
    .field_path(".redirectUris"))]
#[x_kube(validation = Rule::new("!has(self.profile) || !has(self.jwks) || self.jwks.keys.all(key, !has(key.alg) || key.alg != 'RS256')")
    .message("jwks must not hold a key for RS256 with profile FAPI2; leave alg out or make it PS256, and sign by that")
    .field_path(".jwks"))]
#[x_kube(validation = Rule::new("!has(self.profile) || !has(self.tokens) || ((!has(self.tokens.idTokenSignedResponseAlg) || self.tokens.idTokenSignedResponseAlg != 'RS256') && (!has(self.tokens.accessTokenSigningAlg) || self.tokens.accessTokenSigningAlg != 'RS256'))")
    .message("tokens cannot be signed by RS256 with profile FAPI2; the default is ES256")
    .field_path(".tokens"))]
#[x_kube(validation = Rule::new("has(self.clientId) == has(oldSelf.clientId) && (!has(self.clientId) || self.clientId == oldSelf.clientId)")
    .message("clientId cannot be changed, since apps, tokens and consents hang on it; delete the OidcClient and make it again")
    .reason(Reason::FieldValueForbidden)
    .field_path(".clientId"))]
#[serde(rename_all = "camelCase")]
pub struct OidcClientSpec {
    /// The app's `client_id`; default: the namespace and the name with a dot between. Cannot be changed later. Another
    /// value than the default is accepted only where claviger runs with `--allow-own-client-ids`, and never one that
    /// begins with another namespace and a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::client_id")]
    pub client_id: Option<String>,

    /// Shown at sign-in and consent; default: the resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub display_name: Option<String>,

    /// One sentence about the app for the consent page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::description")]
    pub description: Option<String>,

    /// Where people are sent after signing in. Compared byte for byte; only the port of `http://127.0.0.1` and
    /// `http://[::1]` is free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::redirect_uris")]
    pub redirect_uris: Vec<String>,

    /// Where the app may send people after signing them out at claviger. Compared byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::post_logout_redirect_uris")]
    pub post_logout_redirect_uris: Vec<String>,

    /// Where the app is told that a session ended in which it was signed in (OpenID Connect Back-Channel Logout): claviger
    /// posts a logout token there. An address that is not public is reached only where claviger runs with
    /// `--allow-egress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::backchannel_logout_uri")]
    pub backchannel_logout_uri: Option<String>,

    /// Whether the app needs `sid` in each logout token. Without that it is also told, by `sub` alone, that everything of a
    /// person ended, such as when they are disabled.
    #[serde(default)]
    pub backchannel_logout_session_required: bool,

    /// Origins whose scripts may call the token, revocation, pushed authorization request, device and userinfo endpoints (CORS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::origins")]
    pub allowed_origins: Vec<String>,

    /// Grant types that the app may use. `client_credentials` is for an app that acts for itself, without a person;
    /// `urn:ietf:params:oauth:grant-type:device_code` is for a program on a device without a browser, which people allow in
    /// the browser of another (RFC 8628). Only `authorization_code` needs `redirectUris`.
    #[serde(default = "default_grant_types")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub grant_types: Vec<GrantType>,

    /// What the app may ask for.
    #[serde(default = "default_scopes")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<Scope>,

    /// APIs that the app may ask access tokens for: absolute URIs, one of which it names in the parameter `resource`
    /// (RFC 8707). Without `resource` an access token is for claviger's own userinfo endpoint. One that an `OidcClient` of
    /// another namespace has among its `resourceIdentifiers` must be allowed there, in `resourceAccess`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::audiences")]
    pub audiences: Vec<String>,

    /// What the app is called where it is itself an API: others list one of these URIs in their `audiences`, and the app may
    /// introspect access tokens for it. The first to claim one holds it; claviger's own issuer cannot be claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::resources")]
    pub resource_identifiers: Vec<String>,

    /// Whose apps may list one of `resourceIdentifiers` in their `audiences`; default: those of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_access: Option<ResourceAccess>,

    /// How the app authenticates at the token endpoint; any method of the list is accepted. `private_key_jwt` is by what the
    /// app signs with a key of `jwks`, or by the token of one of `serviceAccounts`; alone it leaves the app without a secret.
    /// `none` makes it a public client.
    #[serde(default = "default_token_endpoint_auth_methods")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub token_endpoint_auth_methods: Vec<TokenEndpointAuthMethod>,

    /// Public keys of the app, a JWK Set. What the app signs with them, such as a client assertion or a request object, is
    /// verified by these and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::jwks")]
    pub jwks: Option<JwkSet>,

    /// Whether the app must send its authorization requests as request objects, signed by a key of `jwks` (RFC 9101). One that
    /// is not signed is then refused.
    #[serde(default)]
    pub require_signed_request_object: bool,

    /// ServiceAccounts of the same namespace whose projected tokens authenticate the app, by the method `private_key_jwt`, so that
    /// a pod has no secret at all. The token's audience is the issuer, and it lives for an hour at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::service_accounts")]
    pub service_accounts: Vec<ServiceAccountReference>,

    /// Whether the app must use PKCE, with S256. `Optional` is for an app with a secret that cannot, and shows in the status
    /// as the condition Warning; what is asked for with a challenge always needs the verifier.
    #[serde(default)]
    pub pkce: Pkce,

    /// Whether people are sent to sign in only with a request that the app pushed to `/api/par` before (RFC 9126). A request
    /// that stands in the browser's address is then refused.
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,

    /// Whether the app proves a key of its own at every token request (DPoP, RFC 9449). A request without a proof is then
    /// refused, and whoever steals an access token cannot use it. Without this the app may do so, and gets such tokens when
    /// it does.
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,

    /// When people are asked for consent: `Remember` asks once for a set of scopes, `Always` at every authorization, `Skip`
    /// never, which is accepted only where claviger runs with `--allow-consent-skip`.
    #[serde(default)]
    pub consent: Consent,

    /// A person whose last sign-in is longer ago signs in again, unless the request says otherwise. Written like 90s,
    /// 10m, 14d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<DurationText>,

    /// By which `sub` the app knows people: `public` is the same for all apps; with `pairwise` it is another for the apps of
    /// each host, so that they cannot tell whom they have in common. `pairwise` needs redirect URIs of one host. A change takes
    /// effect when people sign in anew, and the app then takes them for other people.
    #[serde(default)]
    pub subject_type: SubjectType,

    /// `FAPI2` holds the app to the FAPI 2.0 Security Profile, whatever the other fields say: it authenticates by `private_key_jwt`,
    /// pushes its requests, uses PKCE, proves a key by DPoP, has redirect URIs of https alone, and neither it nor claviger signs
    /// by RS256. Its refresh tokens do not rotate. Fields that say otherwise are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,

    /// What the app is given, how it is signed, and how long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,

    /// Who may sign in; default: everyone. Checked at sign-in, at silent sign-in, at every refresh, at userinfo
    /// and at introspection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,

    /// About the Secret with the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSettings>,

    /// When the client secret is replaced; default: only on demand, by the annotation `claviger.dev/rotate` with any new
    /// value, or `claviger.dev/rotate-now`, which ends the old versions at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,

    /// Refuses sign-in and tokens at once; everything is kept. Ready stays True, with the reason Suspended: it is done as asked.
    #[serde(default)]
    pub suspend: bool,
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
}

fn default_scopes() -> Vec<Scope> {
    vec![
        Scope::Openid,
        Scope::Profile,
        Scope::Email,
        Scope::Groups,
        Scope::OfflineAccess,
    ]
}

fn default_token_endpoint_auth_methods() -> Vec<TokenEndpointAuthMethod> {
    vec![
        TokenEndpointAuthMethod::ClientSecretBasic,
        TokenEndpointAuthMethod::ClientSecretPost,
    ]
}

/// A grant type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
}

/// A scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum Scope {
    Openid,
    Profile,
    Email,
    Address,
    Phone,
    Groups,
    OfflineAccess,
}

/// A way to authenticate at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum TokenEndpointAuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    None,
}

/// Names a ServiceAccount of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccountReference {
    /// Its name.
    pub name: String,
}

/// A JWK Set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key. The schema says which members belong to which `kty`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// Of RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Of RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// `P-256` or `Ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// Of EC and OKP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Of EC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The private part, which does not belong here; the schema refuses it by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d: Option<String>,
}

/// Whether the app must use PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum Pkce {
    #[default]
    Required,
    Optional,
}

/// What the app is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum Profile {
    #[serde(rename = "FAPI2")]
    Fapi2,
}

/// When people are asked for consent: `Remember` asks once for a set of scopes, `Always` at every authorization, `Skip`
/// never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum Consent {
    #[default]
    Remember,
    Always,
    Skip,
}

/// What access tokens look like: a JWT (RFC 9068), or a random value that only claviger can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum AccessTokenFormat {
    Jwt,
    Opaque,
}

/// By which `sub` an app knows people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum SubjectType {
    #[default]
    Public,
    Pairwise,
}

/// What the app is given, and how it is signed. Lifetimes are written like 90s, 10m, 14d.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Tokens {
    /// Access tokens; default 10m. At most 24h, but choose minutes: resource servers accept one until it ends, whatever happens meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::signed_lifetime")]
    pub access_token_lifetime: Option<DurationText>,

    /// What access tokens look like: `jwt` (the default; RFC 9068), or `opaque`, a random value that an API shows to
    /// claviger's introspection endpoint each time, so that one that was revoked is refused at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<AccessTokenFormat>,

    /// ID tokens; default 1h. At most 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::signed_lifetime")]
    pub id_token_lifetime: Option<DurationText>,

    /// A refresh token that is not used for this long dies; default 14d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_idle_lifetime: Option<DurationText>,

    /// Refresh tokens end this long after the sign-in, however often they are used; default 90d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime: Option<DurationText>,

    /// By which algorithm ID tokens are signed; default RS256, which every app can verify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,

    /// By which algorithm access tokens are signed; default ES256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_signing_alg: Option<SigningAlgorithm>,
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "a doc comment would turn the schema's enum into oneOf"
)]
pub enum SigningAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Who may sign in: whoever is named, or is in a group that is named.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Names of groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::groups")]
    pub allowed_groups: Vec<String>,

    /// Usernames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::usernames")]
    pub allowed_users: Vec<String>,
}

/// Whose apps may ask for access tokens for an API, beside those of its own namespace.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAccess {
    /// Names of namespaces; `*` stands for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub allowed_namespaces: Vec<String>,
}

/// About the Secret with the credentials.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSettings {
    /// Its name; default: the resource's name with `-oidc` at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_name")]
    pub name: Option<String>,
}

/// When the client secret is replaced. Durations are written like 90s, 10m, 14d.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new(format!("!has(self.interval) || {} >= 3600", schema::seconds("self.interval")))
    .message("interval must be at least 1h")
    .field_path(".interval"))]
#[x_kube(validation = Rule::new(format!("!has(self.interval) || {} > {}", schema::seconds("self.interval"), schema::seconds("self.overlap")))
    .message("interval must be longer than overlap, which is 24h by default")
    .field_path(".interval"))]
#[x_kube(validation = Rule::new(format!("{} <= 2592000", schema::seconds("self.overlap")))
    .message("overlap must be at most 30d")
    .field_path(".overlap"))]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// The secret is replaced when it is this old; default: never. At least 1h, and longer than `overlap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationText>,

    /// How long the old secret stays valid after a new one is in the Secret; at most 30d. Longer than the app takes to
    /// notice the new one.
    #[serde(default = "default_overlap")]
    pub overlap: DurationText,
}

fn default_overlap() -> DurationText {
    DurationText::new("24h")
}

/// What claviger has made of it.
#[derive(KubeSchema, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcClientStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The app's `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,

    /// The Secret with the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,

    /// The redirect URIs in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<EffectiveRedirectUri>,

    /// The versions of the client secret that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub secret_versions: Vec<SecretVersionStatus>,

    /// The value of the annotation `claviger.dev/rotate` that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_rotate: Option<String>,

    /// The value of the annotation `claviger.dev/rotate-now` that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_rotate_now: Option<String>,

    /// When the client secret is replaced next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Time>,

    /// Names the Secret for tools that follow the Service Binding specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,

    /// How it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Names a Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecretReference {
    /// Its name.
    pub name: String,

    /// Its uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// A redirect URI in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct EffectiveRedirectUri {
    /// The URI.
    pub uri: String,

    /// Where it comes from.
    pub source: String,
}

/// A version of the client secret. The secret itself is never here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SecretVersionStatus {
    /// Names the version.
    pub id: String,

    /// Names the master key that it is derived from.
    pub master_key_id: String,

    /// When it was made.
    pub created_at: Time,

    /// When it stops being accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Time>,
}

/// Names the Secret for tools that follow the Service Binding specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Binding {
    /// The Secret's name.
    pub name: String,
}
