use std::collections::BTreeSet;

use super::*;
use crate::controller::oidc_client::validate::validate;
use crate::crd::v1alpha1::OidcClient;
use crate::oidc::issuer::Issuer;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::SecretVersion;

fn settings() -> ControllerSettings {
    ControllerSettings {
        namespace: "claviger".to_owned(),
        watch_namespaces: Vec::new(),
        keyring_secret_name: "claviger-keyring".to_owned(),
        issuer: Issuer::parse("https://id.example.org/tenant").unwrap(),
        heal_interval: None,
        service_account_interval: std::time::Duration::from_mins(1),
        allow_own_client_ids: false,
        allow_consent_skip: false,
        watch_timeout: std::time::Duration::from_secs(290),
        accept_removals: 0,
        without_secret_policy: false,
    }
}

fn valid(spec: &str) -> ValidClient {
    let mut resource = OidcClient::new("shop", serde_yaml::from_str(spec).unwrap());
    resource.metadata.namespace = Some("team-a".to_owned());
    resource.metadata.uid = Some("uid-shop".to_owned());
    resource.metadata.generation = Some(1);
    validate(&resource, &settings(), None).unwrap()
}

fn record(valid: &ValidClient) -> ClientRecord {
    ClientRecord {
        client: valid.client.clone(),
        resource: valid.resource.clone(),
        secret_name: valid.secret_name.clone(),
        secret_versions: vec![SecretVersion {
            id: "1".to_owned(),
            master_key_id: "k".to_owned(),
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            retires_at: None,
            hash: TokenHash::of(b""),
        }],
        absent_since: None,
        done: None,
        observed_rotation: ObservedRotation::default(),
    }
}

const TWO_URIS: &str = "redirectUris: [https://shop.example.org/callback, https://shop.example.org/other]";

/// Apps depend on every key and value; this is the whole contract. Whoever changes it raises `RENDERER` of the digest, or
/// Secrets that exist stay as they are.
#[test]
fn the_secret_holds_exactly_these_entries() {
    let secret = secret(&valid(TWO_URIS), Some("clv_x"), &settings());
    let entries: Vec<(String, String)> = secret
        .data
        .unwrap()
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect();
    let expected = [
        (
            "OIDC_AUTHORIZATION_ENDPOINT",
            "https://id.example.org/tenant/authorize",
        ),
        ("OIDC_CLIENT_ID", "team-a.shop"),
        ("OIDC_CLIENT_SECRET", "clv_x"),
        (
            "OIDC_DISCOVERY_URL",
            "https://id.example.org/tenant/.well-known/openid-configuration",
        ),
        (
            "OIDC_END_SESSION_ENDPOINT",
            "https://id.example.org/tenant/logout",
        ),
        ("OIDC_ISSUER", "https://id.example.org/tenant"),
        ("OIDC_ISSUER_URL", "https://id.example.org/tenant"),
        (
            "OIDC_JWKS_URI",
            "https://id.example.org/tenant/.well-known/jwks.json",
        ),
        ("OIDC_REDIRECT_URI", "https://shop.example.org/callback"),
        ("OIDC_SCOPES", "openid profile email groups offline_access"),
        (
            "OIDC_TOKEN_ENDPOINT",
            "https://id.example.org/tenant/api/token/v2",
        ),
        (
            "OIDC_USERINFO_ENDPOINT",
            "https://id.example.org/tenant/api/userinfo",
        ),
        ("client-id", "team-a.shop"),
        ("client-secret", "clv_x"),
        ("issuer-url", "https://id.example.org/tenant"),
        ("provider", "claviger"),
        ("type", "oidc"),
    ];
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(entries, expected);
}

#[test]
fn the_secret_is_owned_by_its_client_and_holds_nobody_up() {
    let secret = secret(&valid(TWO_URIS), Some("clv_x"), &settings());
    assert_eq!(secret.type_.as_deref(), Some("servicebinding.io/oidc"));
    assert_eq!(secret.metadata.name.as_deref(), Some("shop-oidc"));
    assert_eq!(secret.metadata.namespace.as_deref(), Some("team-a"));
    assert_eq!(
        serde_json::to_value(&secret.metadata.labels).unwrap(),
        serde_json::json!({"app.kubernetes.io/managed-by": "claviger", "claviger.dev/client": "shop"})
    );
    assert_eq!(
        serde_json::to_value(&secret.metadata.owner_references).unwrap(),
        serde_json::json!([{
            "apiVersion": "claviger.dev/v1alpha1", "kind": "OidcClient", "name": "shop", "uid": "uid-shop",
            "controller": true,
        }])
    );
    assert_eq!(secret.metadata.finalizers, None);
}

#[test]
fn a_public_client_has_no_secret() {
    let public = valid("{redirectUris: [https://a.example/cb], tokenEndpointAuthMethods: [none]}");
    let keys: BTreeSet<String> = secret(&public, None, &settings())
        .data
        .unwrap()
        .into_keys()
        .collect();
    assert!(
        !keys.contains("OIDC_CLIENT_SECRET") && !keys.contains("client-secret"),
        "{keys:?}"
    );
}

#[test]
fn the_digest_changes_with_everything_that_decides() {
    let base = valid(TWO_URIS);
    let digest_of = |valid: &ValidClient, record: &ClientRecord, settings: &ControllerSettings| {
        digest(valid, record, None, settings).unwrap().0
    };
    let mut seen = BTreeSet::from([digest_of(&base, &record(&base), &settings())]);
    assert!(
        !seen.insert(digest_of(&base, &record(&base), &settings())),
        "it is stable"
    );

    for spec in [
        "redirectUris: [https://shop.example.org/other, https://shop.example.org/callback]",
        "{redirectUris: [https://shop.example.org/callback, https://shop.example.org/other], suspend: true}",
        "{redirectUris: [https://shop.example.org/callback, https://shop.example.org/other], secret: {name: x}}",
    ] {
        let changed = valid(spec);
        assert!(
            seen.insert(digest_of(&changed, &record(&changed), &settings())),
            "{spec}"
        );
    }
    let mut newer = base.clone();
    newer.generation = Some(2);
    assert!(
        seen.insert(digest_of(&newer, &record(&newer), &settings())),
        "generation"
    );

    let mut rotated = record(&base);
    rotated.secret_versions[0].id = "2".to_owned();
    assert!(
        seen.insert(digest_of(&base, &rotated, &settings())),
        "secret version"
    );
    rotated.observed_rotation.rotate = Some("x".to_owned());
    assert!(
        seen.insert(digest_of(&base, &rotated, &settings())),
        "what was carried out"
    );
    let mut ends = record(&base);
    ends.secret_versions[0].retires_at = Some(Timestamp::UNIX_EPOCH);
    assert!(
        seen.insert(digest_of(&base, &ends, &settings())),
        "end of a version"
    );
    for key in [
        "claviger.dev/rotate",
        "claviger.dev/rotate-now",
        "claviger.dev/heal",
    ] {
        let mut asked = base.clone();
        let mut resource = OidcClient::new("shop", serde_yaml::from_str(TWO_URIS).unwrap());
        resource.metadata.annotations = Some([(key.to_owned(), "x".to_owned())].into());
        asked.requests = Requests::of(&resource);
        assert!(
            seen.insert(digest_of(&asked, &record(&base), &settings())),
            "{key}"
        );
    }
    let postponed = digest(&base, &record(&base), Some(Timestamp::UNIX_EPOCH), &settings());
    assert!(seen.insert(postponed.unwrap().0), "a rotation that waits");

    let elsewhere = ControllerSettings {
        issuer: Issuer::parse("https://other.example.org").unwrap(),
        ..settings()
    };
    assert!(
        seen.insert(digest_of(&base, &record(&base), &elsewhere)),
        "issuer"
    );
}
