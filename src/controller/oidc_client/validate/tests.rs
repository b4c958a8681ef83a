use super::*;
use crate::controller::ControllerSettings;
use crate::oidc::client::{AccessTokenFormat, TokenLifetimes, TokenSigning};
use crate::oidc::issuer::Issuer;
use crate::oidc::signing_algorithm::SigningAlgorithm;

fn settings() -> ControllerSettings {
    ControllerSettings {
        namespace: "claviger".to_owned(),
        watch_namespaces: Vec::new(),
        keyring_secret_name: "claviger-keyring".to_owned(),
        issuer: Issuer::parse("https://id.example.org").unwrap(),
        heal_interval: None,
        service_account_interval: std::time::Duration::from_mins(1),
        allow_own_client_ids: false,
        allow_consent_skip: false,
        watch_timeout: std::time::Duration::from_secs(290),
        accept_removals: 0,
        without_secret_policy: false,
    }
}

fn client(namespace: &str, name: &str, spec: &str) -> OidcClient {
    let mut resource = OidcClient::new(name, serde_yaml::from_str(spec).unwrap());
    resource.metadata.namespace = Some(namespace.to_owned());
    resource.metadata.uid = Some("5872780a-b637-4476-b5e5-86aefc8f54a8".to_owned());
    resource.metadata.generation = Some(1);
    resource
}

fn valid(spec: &str) -> ValidClient {
    validate(&client("team-a", "shop", spec), &settings(), None).unwrap()
}

const MINIMAL: &str = "redirectUris: [https://shop.example.org/callback]";

#[test]
fn redirect_uris_are_all_that_a_client_needs() {
    let valid = valid(MINIMAL);
    assert_eq!(valid.secret_name, "shop-oidc");
    let client = valid.client;
    assert_eq!(client.client_id.as_str(), "team-a.shop");
    assert_eq!(client.client_name, "shop");
    assert_eq!(client.redirect_uris, ["https://shop.example.org/callback"]);
    assert_eq!(
        client.grant_types,
        BTreeSet::from([GrantType::AuthorizationCode, GrantType::RefreshToken])
    );
    // An address and a phone number are for apps that say so.
    assert_eq!(
        client.scopes,
        ScopeSet::parse("openid profile email groups offline_access")
    );
    assert_eq!(client.lifetimes, TokenLifetimes::default());
    assert_eq!(client.signing, TokenSigning::default());
    assert_eq!(client.subject_type, SubjectType::Public);
    assert_eq!(client.consent, ConsentPolicy::Remember);
    assert_eq!(client.access, Access::default());
    assert_eq!(client.default_max_age, None);
    assert!(!client.is_public() && !client.suspended && !client.require_pushed_authorization_requests);
    assert!(!client.dpop_bound_access_tokens);
    assert_eq!(client.pkce, Pkce::Required);
}

#[test]
fn every_field_reaches_the_client() {
    let valid = valid(
        "
        displayName: The shop
        description: Sells things.
        redirectUris: [https://shop.example.org/callback, 'http://127.0.0.1/cb', 'org.example.shop:/cb']
        postLogoutRedirectUris: [https://shop.example.org/]
        backchannelLogoutUri: https://shop.example.org/backchannel-logout?tenant=a
        backchannelLogoutSessionRequired: true
        allowedOrigins: [https://shop.example.org]
        jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, kid: one, use: sig, alg: EdDSA}]}
        requireSignedRequestObject: true
        grantTypes: [authorization_code]
        scopes: [email, openid]
        audiences: [https://api.example.org, 'urn:x']
        resourceIdentifiers: [https://shop.example.org]
        resourceAccess: {allowedNamespaces: [team-b]}
        tokenEndpointAuthMethods: [none]
        requirePushedAuthorizationRequests: true
        dpopBoundAccessTokens: true
        consent: Always
        defaultMaxAge: 0s
        tokens:
          accessTokenFormat: opaque
          accessTokenLifetime: 90s
          idTokenLifetime: 5m
          refreshTokenIdleLifetime: 2h
          refreshTokenLifetime: 3d
          idTokenSignedResponseAlg: EdDSA
          accessTokenSigningAlg: PS256
        access: {allowedGroups: [staff], allowedUsers: [ada]}
        secret: {name: login}
        suspend: true
        ",
    );
    assert_eq!(valid.secret_name, "login");
    assert_eq!(valid.scopes, ["email", "openid"]);
    let client = valid.client;
    assert_eq!(client.client_name, "The shop");
    assert_eq!(client.description.as_deref(), Some("Sells things."));
    assert_eq!(client.redirect_uris.len(), 3);
    assert_eq!(client.post_logout_redirect_uris, ["https://shop.example.org/"]);
    let uri = client.backchannel_logout_uri.as_deref();
    assert_eq!(uri, Some("https://shop.example.org/backchannel-logout?tenant=a"));
    assert!(client.backchannel_logout_session_required);
    assert_eq!(client.allowed_origins, ["https://shop.example.org"]);
    assert_eq!(client.jwks.len(), 1);
    assert!(client.require_signed_request_object);
    assert_eq!(client.jwks[0].kid.as_deref(), Some("one"));
    assert_eq!(client.grant_types, BTreeSet::from([GrantType::AuthorizationCode]));
    assert!(client.is_public() && client.suspended && client.require_pushed_authorization_requests);
    assert!(client.dpop_bound_access_tokens);
    assert_eq!(client.audiences, ["https://api.example.org", "urn:x"]);
    assert_eq!(client.resource_identifiers, ["https://shop.example.org"]);
    assert_eq!(client.resource_namespaces, ["team-b"]);
    assert_eq!(client.access_token_format, AccessTokenFormat::Opaque);
    assert_eq!(client.consent, ConsentPolicy::Always);
    assert_eq!(client.default_max_age, Some(Duration::ZERO));
    assert_eq!(
        client.lifetimes,
        TokenLifetimes {
            access_token: Duration::from_secs(90),
            id_token: Duration::from_mins(5),
            refresh_token_idle: Duration::from_hours(2),
            refresh_token: Duration::from_hours(72),
        }
    );
    assert_eq!(
        client.signing,
        TokenSigning {
            id_token: SigningAlgorithm::EdDsa,
            access_token: SigningAlgorithm::Ps256,
        }
    );
    assert_eq!(client.access.allowed_groups, ["staff"]);
    assert_eq!(client.access.allowed_users, ["ada"]);
}

#[test]
fn a_client_that_acts_for_itself_needs_no_redirect_uri() {
    let valid = valid("grantTypes: [client_credentials]");
    assert_eq!(
        valid.client.grant_types,
        BTreeSet::from([GrantType::ClientCredentials])
    );
    assert!(valid.client.redirect_uris.is_empty());
}

#[test]
fn a_refusal_names_what_services_need() {
    for (spec, why) in [
        (
            "{redirectUris: [https://a.example], grantTypes: [client_credentials, refresh_token]}",
            "spec.grantTypes with refresh_token needs authorization_code",
        ),
        (
            "{redirectUris: [https://a.example], grantTypes: [client_credentials, authorization_code], \
             tokenEndpointAuthMethods: [none]}",
            "spec.grantTypes with client_credentials needs a client that authenticates",
        ),
        (
            "{grantTypes: [client_credentials, authorization_code]}",
            "spec.redirectUris is required",
        ),
        (
            "{redirectUris: [https://a.example], audiences: [https://a.example, api]}",
            "spec.audiences[1] is not an absolute URI",
        ),
        (
            "{redirectUris: [https://a.example], resourceIdentifiers: ['https://a.example#x']}",
            "spec.resourceIdentifiers[0] has a fragment",
        ),
        (
            "{redirectUris: [https://a.example], resourceIdentifiers: ['urn:x', 'https://id.example.org']}",
            "spec.resourceIdentifiers[1] is claviger's own place",
        ),
        (
            "{redirectUris: [https://a.example], audiences: ['https://id.example.org', 'https://ID.example.org/api']}",
            "spec.audiences[1] is claviger's own place",
        ),
        (
            "{redirectUris: [https://a.example], resourceAccess: {allowedNamespaces: ['*', team-a, Team-B]}}",
            "spec.resourceAccess.allowedNamespaces[2] must be the name of a namespace",
        ),
    ] {
        let verdict = validate(&client("team-a", "shop", spec), &settings(), None).unwrap_err();
        assert!(verdict.message.contains(why), "{spec}: {}", verdict.message);
    }
}

/// A token may be for all audiences, and has to stay short enough to be read again.
#[test]
fn rule_60_audiences_are_bounded_together() {
    let spec = |more: &str| {
        let audiences: Vec<String> = (0..4)
            .map(|number| format!("urn:{number}{}", "x".repeat(507)))
            .collect();
        format!(
            "grantTypes: [client_credentials]\naudiences: [{}{more}]",
            audiences.join(", ")
        )
    };
    assert_eq!(valid(&spec("")).client.audiences.len(), 4);
    let verdict = validate(&client("team-a", "shop", &spec(", 'u:x'")), &settings(), None).unwrap_err();
    assert!(
        verdict.message.starts_with("spec.audiences must be at most 2048"),
        "{}",
        verdict.message
    );
}

#[test]
fn pkce_may_be_optional_for_an_app_with_a_secret() {
    let client = valid(&format!("pkce: Optional\n{MINIMAL}")).client;
    assert!(!client.requires_pkce());
}

#[test]
fn keys_and_uris_after_sign_out_are_checked() {
    for (spec, field) in [
        (
            "{redirectUris: [https://a.example], postLogoutRedirectUris: ['http://a.example']}",
            "spec.postLogoutRedirectUris[0] ",
        ),
        (
            "{redirectUris: [https://a.example], backchannelLogoutUri: 'http://a.example/logout'}",
            "spec.backchannelLogoutUri ",
        ),
        (
            "{redirectUris: [https://a.example], backchannelLogoutUri: 'https://a.example/logout#x'}",
            "spec.backchannelLogoutUri ",
        ),
        (
            "{redirectUris: [https://a.example], backchannelLogoutUri: 'org.example.app:/logout'}",
            "spec.backchannelLogoutUri ",
        ),
        (
            "{redirectUris: [https://a.example], backchannelLogoutSessionRequired: true}",
            "spec.backchannelLogoutSessionRequired ",
        ),
        (
            "{redirectUris: [https://a.example], jwks: {keys: []}}",
            "spec.jwks.keys ",
        ),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: [private_key_jwt]}",
            "spec.jwks (the public keys",
        ),
        (
            "{redirectUris: [https://a.example], serviceAccounts: [{name: shop}]}",
            "spec.serviceAccounts needs tokenEndpointAuthMethods",
        ),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: [private_key_jwt], serviceAccounts: [{name: a}, {name: default}]}",
            "spec.serviceAccounts[1].name cannot be default",
        ),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: [private_key_jwt, none], jwks: {keys: []}}",
            "spec.tokenEndpointAuthMethods with none",
        ),
        (
            "{redirectUris: [https://a.example], jwks: {keys: [{kty: oct}]}}",
            "spec.jwks.keys[0] ",
        ),
        (
            // RFC 8032's key with its private part.
            "{redirectUris: [https://a.example], jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, d: AA}]}}",
            "spec.jwks.keys[0] must be a public key",
        ),
        (
            // No point of the curve.
            "{redirectUris: [https://a.example], jwks: {keys: [{kty: EC, crv: P-256, x: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, y: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}]}}",
            "spec.jwks.keys[0] ",
        ),
        (
            "{redirectUris: [https://a.example], jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, alg: HS256}]}}",
            "spec.jwks.keys[0] has an alg",
        ),
        (
            "{redirectUris: [https://a.example], requireSignedRequestObject: true}",
            "spec.requireSignedRequestObject needs spec.jwks",
        ),
        (
            "{redirectUris: [https://a.example], jwks: {keys: [{kid: a, kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}, {kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}}",
            "spec.jwks.keys[1] must have a kid",
        ),
    ] {
        let verdict = validate(&client("team-a", "shop", spec), &settings(), None).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{spec}");
        assert!(verdict.message.starts_with(field), "{spec}: {}", verdict.message);
    }
}

#[test]
fn pairwise_subjects_are_for_clients_of_one_host() {
    let valid =
        valid("{redirectUris: ['https://a.example/x', 'https://A.example:1/y'], subjectType: pairwise}");
    let sector_identifier = "a.example".to_owned();
    assert_eq!(
        valid.client.subject_type,
        SubjectType::Pairwise { sector_identifier }
    );
    for (uris, says) in [
        (
            "https://a.example/x, https://b.example/",
            "a.example and b.example; make an OidcClient for each host",
        ),
        ("'http://127.0.0.1/cb'", "http://127.0.0.1/cb has not"),
        (
            "https://a.example/x, 'org.example.app:/cb'",
            "org.example.app:/cb has not",
        ),
    ] {
        let spec = format!("{{redirectUris: [{uris}], subjectType: pairwise}}");
        let verdict = validate(&client("team-a", "shop", &spec), &settings(), None).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC);
        let message = verdict.message;
        assert!(
            message.starts_with("spec.subjectType pairwise needs") && message.contains(says),
            "{message}"
        );
    }
}

/// What contradicts a profile is refused, by each field alone; fields that it decides need not be written.
#[test]
fn a_profile_refuses_what_contradicts_it() {
    const KEY: &str = "kty: EC, crv: P-256, x: l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs, y: 9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
    let spec = |fields: &str| {
        format!(
            "{{profile: FAPI2, tokenEndpointAuthMethods: [private_key_jwt], jwks: {{keys: [{{{KEY}}}]}}, \
             redirectUris: [https://a.example]{fields}}}"
        )
    };
    let client_of = valid(&spec("")).client;
    assert!(client_of.requires_pkce() && client_of.requires_pushed_requests() && client_of.requires_dpop());
    assert!(!client_of.rotates_refresh_tokens() && !client_of.has_secret());
    assert_eq!(client_of.token_signing().id_token, SigningAlgorithm::Es256);
    for (from, to, field) in [
        (
            "[private_key_jwt]",
            "[private_key_jwt, client_secret_post]",
            "spec.tokenEndpointAuthMethods",
        ),
        ("[private_key_jwt]", "[none]", "spec.tokenEndpointAuthMethods"),
        (
            "tokenEndpointAuthMethods: [private_key_jwt], ",
            "",
            "spec.tokenEndpointAuthMethods",
        ),
        (
            "}]}",
            "}]}, serviceAccounts: [{name: shop}]",
            "spec.serviceAccounts",
        ),
        ("}]}", "}]}, pkce: Optional", "spec.pkce"),
        (
            "}]}",
            "}]}, grantTypes: [authorization_code, 'urn:ietf:params:oauth:grant-type:device_code']",
            "spec.grantTypes",
        ),
        (
            "[https://a.example]",
            "[https://a.example, 'http://[::1]/']",
            "spec.redirectUris",
        ),
        (
            "}]}",
            "}]}, tokens: {idTokenSignedResponseAlg: RS256}",
            "spec.tokens",
        ),
        (
            "}]}",
            "}]}, tokens: {accessTokenSigningAlg: RS256}",
            "spec.tokens",
        ),
    ] {
        let spec = spec("").replace(from, to);
        let verdict = validate(&client("team-a", "shop", &spec), &settings(), None).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{spec}");
        assert!(verdict.message.starts_with(field), "{spec}: {}", verdict.message);
    }
}

#[test]
fn a_refusal_names_the_field() {
    let long_text = format!("displayName: {}\n{MINIMAL}", "x".repeat(129));
    for (spec, field) in [
        ("{}", "spec.redirectUris is required"),
        (
            "redirectUris: [https://a.example/cb, /cb]",
            "spec.redirectUris[1] ",
        ),
        ("redirectUris: ['javascript:alert(1)']", "spec.redirectUris[0] "),
        ("redirectUris: ['http://a.example/cb']", "spec.redirectUris[0] "),
        (
            "{redirectUris: [https://a.example], grantTypes: [refresh_token]}",
            "spec.grantTypes ",
        ),
        (
            "{redirectUris: [https://a.example], grantTypes: []}",
            "spec.grantTypes ",
        ),
        ("{redirectUris: [https://a.example], scopes: []}", "spec.scopes "),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: [none], pkce: Optional}",
            "spec.pkce ",
        ),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: []}",
            "spec.tokenEndpointAuthMethods ",
        ),
        (
            "{redirectUris: [https://a.example], tokenEndpointAuthMethods: [none, client_secret_basic]}",
            "spec.tokenEndpointAuthMethods ",
        ),
        (
            "{redirectUris: [https://a.example], allowedOrigins: [https://a.example/]}",
            "spec.allowedOrigins[0] ",
        ),
        (
            "{redirectUris: [https://a.example], defaultMaxAge: 1w}",
            "spec.defaultMaxAge ",
        ),
        (
            "{redirectUris: [https://a.example], defaultMaxAge: 3651d}",
            "spec.defaultMaxAge ",
        ),
        (
            "{redirectUris: [https://a.example], tokens: {idTokenLifetime: 0s}}",
            "spec.tokens.idTokenLifetime ",
        ),
        (
            "{redirectUris: [https://a.example], tokens: {idTokenLifetime: 86401s}}",
            "spec.tokens.idTokenLifetime must be at most 24h",
        ),
        (
            "{redirectUris: [https://a.example], tokens: {accessTokenLifetime: 2d}}",
            "spec.tokens.accessTokenLifetime must be at most 24h",
        ),
        (
            "{redirectUris: [https://a.example], tokens: {refreshTokenLifetime: 3651d}}",
            "spec.tokens.refreshTokenLifetime must be at most 3650d",
        ),
        (
            "{redirectUris: [https://a.example], tokens: {refreshTokenLifetime: forever}}",
            "spec.tokens.refreshTokenLifetime ",
        ),
        (
            "{redirectUris: [https://a.example], displayName: ''}",
            "spec.displayName ",
        ),
        (
            "{redirectUris: [https://a.example], displayName: \"a\\nb\"}",
            "spec.displayName ",
        ),
        (
            "{redirectUris: [https://a.example], description: \"\\u202e\"}",
            "spec.description ",
        ),
        (long_text.as_str(), "spec.displayName "),
        (
            "{redirectUris: [https://a.example], rotation: {interval: 59m, overlap: 1m}}",
            "spec.rotation.interval must be at least 1h",
        ),
        (
            "{redirectUris: [https://a.example], rotation: {interval: 24h}}",
            "spec.rotation.interval must be longer",
        ),
        (
            "{redirectUris: [https://a.example], rotation: {interval: 60d, overlap: 31d}}",
            "spec.rotation.overlap must be at most 30d",
        ),
        (
            "{redirectUris: [https://a.example], rotation: {interval: monthly}}",
            "spec.rotation.interval must be written",
        ),
    ] {
        let verdict = validate(&client("team-a", "shop", spec), &settings(), None).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{spec}");
        assert!(verdict.message.starts_with(field), "{spec}: {}", verdict.message);
    }
}

#[test]
fn a_name_that_is_no_value_of_a_label_is_refused() {
    let verdict = validate(&client("team-a", &"x".repeat(64), MINIMAL), &settings(), None).unwrap_err();
    assert!(
        verdict.message.starts_with("metadata.name "),
        "{}",
        verdict.message
    );
}

#[test]
fn the_names_of_clavigers_own_secrets_are_reserved_at_home_only() {
    for (namespace, secret, refused) in [
        ("claviger", "claviger-keyring", true),
        ("claviger", "ada-password", true),
        ("claviger", "shop-oidc", false),
        ("team-a", "claviger-keyring", false),
        ("team-a", "ada-password", false),
    ] {
        let spec = format!("{{redirectUris: [https://a.example], secret: {{name: {secret}}}}}");
        let outcome = validate(&client(namespace, "shop", &spec), &settings(), None);
        assert_eq!(outcome.is_err(), refused, "{namespace}/{secret}");
        if let Err(verdict) = outcome {
            assert_eq!(verdict.reason, reason::SECRET_NAME_CONFLICT);
        }
    }
}

#[test]
fn rotation_has_defaults() {
    let plan = |spec: &str| valid(&format!("{{redirectUris: [https://a.example], {spec}}}")).rotation;
    assert_eq!(
        (plan("").interval, plan("").overlap),
        (None, Duration::from_hours(24))
    );
    let monthly = plan("rotation: {interval: 30d}");
    assert_eq!(monthly.interval, Some(Duration::from_hours(30 * 24)));
    assert_eq!(monthly.overlap, Duration::from_hours(24));
    assert_eq!(plan("rotation: {overlap: 0s}").overlap, Duration::ZERO);
    assert_eq!(
        plan("rotation: {interval: 1h, overlap: 59m}").interval,
        Some(Duration::from_hours(1))
    );
}

fn with_own_id(namespace: &str, client_id: &str, allowed: bool) -> Result<ValidClient, Verdict> {
    let spec = format!("{{clientId: '{client_id}', {MINIMAL}}}");
    let settings = ControllerSettings {
        allow_own_client_ids: allowed,
        ..settings()
    };
    validate(&client(namespace, "shop", &spec), &settings, None)
}

#[test]
fn an_own_client_id_needs_the_flag_and_never_looks_like_another_namespaces() {
    for id in ["shop", "Shop.web", "team-a.web", "team-a.shop", "a_b.c", "x~y"] {
        let valid = with_own_id("team-a", id, true).unwrap();
        assert_eq!(valid.client.client_id.as_str(), id);
    }
    let long = "x".repeat(129);
    for id in [
        "team-b.shop",
        "shop.example.org",
        "1.2",
        "a b",
        "",
        "\u{e4}",
        "a/b",
        long.as_str(),
    ] {
        let verdict = with_own_id("team-a", id, true).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{id}");
        assert!(
            verdict.message.starts_with("spec.clientId "),
            "{}",
            verdict.message
        );
    }
    let verdict = with_own_id("team-a", "shop", false).unwrap_err();
    assert_eq!(verdict.reason, reason::NOT_ALLOWED);
    assert!(
        verdict.message.contains("--allow-own-client-ids"),
        "{}",
        verdict.message
    );
    // The default may be written out.
    with_own_id("team-a", "team-a.shop", false).unwrap();
}

#[test]
fn a_client_keeps_the_id_that_it_has() {
    let valid = with_own_id("team-a", "shop", true).unwrap();
    let held = ClientRecord {
        client: valid.client,
        resource: valid.resource,
        secret_name: valid.secret_name,
        secret_versions: Vec::new(),
        absent_since: None,
        done: None,
        observed_rotation: crate::store::records::ObservedRotation::default(),
    };
    let now = |spec: &str| validate(&client("team-a", "shop", spec), &settings(), Some(&held));
    let same = now(&format!("{{clientId: shop, {MINIMAL}}}")).unwrap();
    assert_eq!(same.client.client_id.as_str(), "shop", "the flag may go");
    for spec in [format!("{{clientId: other, {MINIMAL}}}"), MINIMAL.to_owned()] {
        let verdict = now(&spec).unwrap_err();
        assert!(
            verdict.message.contains("cannot be changed"),
            "{}",
            verdict.message
        );
    }
}

#[test]
fn skipping_consent_needs_the_flag() {
    let resource = client("team-a", "shop", &format!("{{consent: Skip, {MINIMAL}}}"));
    let verdict = validate(&resource, &settings(), None).unwrap_err();
    assert_eq!(verdict.reason, reason::NOT_ALLOWED);
    assert!(
        verdict.message.contains("--allow-consent-skip"),
        "{}",
        verdict.message
    );
    let settings = ControllerSettings {
        allow_consent_skip: true,
        ..settings()
    };
    let valid = validate(&resource, &settings, None).unwrap();
    assert_eq!(valid.client.consent, ConsentPolicy::Skip);
}
