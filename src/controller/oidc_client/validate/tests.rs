use super::*;
use crate::controller::ControllerSettings;
use crate::oidc::issuer::Issuer;

fn settings() -> ControllerSettings {
    ControllerSettings {
        namespace: "claviger".to_owned(),
        watch_namespaces: Vec::new(),
        keyring_secret_name: "claviger-keyring".to_owned(),
        issuer: Issuer::parse("https://id.example.org").unwrap(),
        ca_certificate: None,
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
    validate(&client("team-a", "shop", spec), &settings()).unwrap()
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
    assert_eq!(client.grant_types, BTreeSet::from(GrantType::ALL));
    assert_eq!(client.scopes, scope::SUPPORTED.into_iter().collect());
    assert_eq!(client.lifetimes, TokenLifetimes::default());
    assert_eq!(client.consent, ConsentPolicy::Remember);
    assert_eq!(client.access, Access::default());
    assert_eq!(client.default_max_age, None);
    assert!(!client.is_public() && !client.suspended);
}

#[test]
fn every_field_reaches_the_client() {
    let valid = valid(
        "
        displayName: The shop
        description: Sells things.
        redirectUris: [https://shop.example.org/callback, 'http://127.0.0.1/cb', 'org.example.shop:/cb']
        allowedOrigins: [https://shop.example.org]
        grantTypes: [authorization_code]
        scopes: [email, openid]
        tokenEndpointAuthMethods: [none]
        consent: Always
        defaultMaxAge: 0s
        tokens: {accessTokenLifetime: 90s, idTokenLifetime: 5m, refreshTokenIdleLifetime: 2h, refreshTokenLifetime: 3d}
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
    assert_eq!(client.allowed_origins, ["https://shop.example.org"]);
    assert_eq!(client.grant_types, BTreeSet::from([GrantType::AuthorizationCode]));
    assert!(client.is_public() && client.suspended);
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
    assert_eq!(client.access.allowed_groups, ["staff"]);
    assert_eq!(client.access.allowed_users, ["ada"]);
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
    ] {
        let verdict = validate(&client("team-a", "shop", spec), &settings()).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{spec}");
        assert!(verdict.message.starts_with(field), "{spec}: {}", verdict.message);
    }
}

#[test]
fn a_name_that_is_no_value_of_a_label_is_refused() {
    let verdict = validate(&client("team-a", &"x".repeat(64), MINIMAL), &settings()).unwrap_err();
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
        let outcome = validate(&client(namespace, "shop", &spec), &settings());
        assert_eq!(outcome.is_err(), refused, "{namespace}/{secret}");
        if let Err(verdict) = outcome {
            assert_eq!(verdict.reason, reason::SECRET_NAME_CONFLICT);
        }
    }
}
