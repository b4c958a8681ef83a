//! Tests of what the pipeline holds every grant type to. No grant type that there is gives what is refused or cut here, so
//! that no request can show it.

use serde_json::json;

use super::*;
use crate::oidc::scope::ScopeSet;

const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const AT: &str = "2026-01-01T00:00:00Z";

fn client(name: &str, scopes: &[&str]) -> Client {
    serde_json::from_value(json!({
        "uid": name, "client_id": name, "client_name": name, "description": null, "redirect_uris": [],
        "allowed_origins": [], "grant_types": ["authorization_code"], "scopes": scopes,
        "token_endpoint_auth_methods": ["client_secret_basic"], "consent": "Remember", "default_max_age": null,
        "lifetimes": {
            "access_token": {"secs": 600, "nanos": 0}, "id_token": {"secs": 600, "nanos": 0},
            "refresh_token_idle": {"secs": 60, "nanos": 0}, "refresh_token": {"secs": 90, "nanos": 0},
        },
        "access": {"allowed_groups": [], "allowed_users": []}, "suspended": false,
    }))
    .unwrap()
}

/// What ada allowed the client `shop`, of which `asked` is wanted now.
fn authorization(allowed: &[&str], asked: &str) -> Authorization {
    let grant = json!({
        "id": "grant", "client_uid": "shop", "client_id": "shop", "user_uid": "uid-ada", "subject": "ada",
        "scope": allowed, "session": HASH, "offline": false,
        "authentication": {"at": AT, "methods": ["pwd"]}, "auth_time_requested": false, "nonce": null,
        "created_at": AT, "expires_at": AT, "revoked_at": null,
    });
    let user = json!({
        "user": {
            "uid": "uid-ada", "subject": "ada", "username": "ada", "name": null, "given_name": null,
            "family_name": null, "email": null, "email_verified": false, "groups": [], "disabled": false,
        },
        "resource": {"namespace": "claviger", "name": "ada"},
        "password": null, "absent_since": null, "done": null,
    });
    Authorization {
        holder: Holder::Person(Box::new(Person {
            grant: serde_json::from_value(grant).unwrap(),
            user: serde_json::from_value(user).unwrap(),
            nonce: None,
        })),
        scope: ScopeSet::parse(asked),
        resources: Vec::new(),
        refresh_token: None,
    }
}

/// A grant of another client gives nothing, whichever grant type took it.
#[test]
fn rule_27_no_grant_type_redeems_what_another_client_was_given() {
    let authorization = authorization(&["openid"], "openid");
    assert!(refuse_what_is_of_another(&client("shop", &["openid"]), &authorization).is_ok());
    let Err(Failure::Refused(refusal)) =
        refuse_what_is_of_another(&client("other", &["openid"]), &authorization)
    else {
        panic!("another client was given what is not its own")
    };
    assert_eq!(refusal.error.code, ErrorCode::InvalidGrant);
}

/// The scope of a token is no wider than what the person allowed, nor than what the client may ask for by now.
#[test]
fn the_scope_is_within_the_grant_and_the_client() {
    for (allowed, registered, asked, given) in [
        (
            &["openid", "email"][..],
            &["openid", "email"][..],
            "openid email",
            "email openid",
        ),
        (&["openid"], &["openid", "email"], "openid email", "openid"),
        (&["openid", "email"], &["openid"], "openid email", "openid"),
        (&["openid", "email"], &["openid", "email"], "openid", "openid"),
        (&["openid"], &["email"], "openid email", ""),
    ] {
        let mut authorization = authorization(allowed, asked);
        narrow_scope(&client("shop", registered), &mut authorization);
        assert_eq!(
            authorization.scope.to_string(),
            given,
            "{allowed:?} {registered:?} {asked}"
        );
    }
}
