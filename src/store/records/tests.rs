//! Records outlive the process that wrote them: what the first version wrote must still be read, whatever has been added.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const AT: &str = "2026-01-01T00:00:00Z";

/// Reads what was written, and finds every member of it again in what is written now.
fn still_read<T: Serialize + DeserializeOwned>(written: &Value) {
    let record: T = serde_json::from_value(written.clone()).unwrap_or_else(|error| {
        panic!(
            "stores that people have hold records like this one, which cannot be read any more ({error}); give a new field \
             `#[serde(default)]`: {written}"
        )
    });
    assert_holds(&serde_json::to_value(&record).unwrap(), written);
}

fn assert_holds(now: &Value, before: &Value) {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            for (name, value) in before {
                assert_holds(now.get(name).unwrap_or_else(|| panic!("{name} is lost")), value);
            }
        }
        (now, before) => assert_eq!(now, before),
    }
}

#[test]
fn a_client_of_the_first_version_is_still_read() {
    still_read::<ClientRecord>(&json!({
        "client": {
            "uid": "uid-shop", "client_id": "team-a.shop", "client_name": "Shop", "description": "Sells.",
            "redirect_uris": ["https://shop.example.org/callback"],
            "allowed_origins": ["https://shop.example.org"],
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["email", "openid"],
            "token_endpoint_auth_methods": ["client_secret_basic", "client_secret_post", "none"],
            "consent": "Always",
            "default_max_age": {"secs": 60, "nanos": 0},
            "lifetimes": {
                "access_token": {"secs": 600, "nanos": 0}, "id_token": {"secs": 3_600, "nanos": 0},
                "refresh_token_idle": {"secs": 60, "nanos": 0}, "refresh_token": {"secs": 90, "nanos": 0},
            },
            "access": {"allowed_groups": ["staff"], "allowed_users": ["ada"]},
            "suspended": true,
        },
        "resource": {"namespace": "team-a", "name": "shop"},
        "secret_name": "shop-oidc",
        "secret_versions": [
            {"id": "1", "master_key_id": "m1", "created_at": AT, "retires_at": AT, "hash": HASH},
        ],
        "absent_since": AT,
        "done": "digest",
    }));
}

#[test]
fn a_user_of_the_first_version_is_still_read() {
    still_read::<UserRecord>(&json!({
        "user": {
            "uid": "uid-ada", "subject": "ada", "username": "ada", "name": "Ada Lovelace", "given_name": "Ada",
            "family_name": "Lovelace", "email": "ada@example.org", "email_verified": true, "groups": ["staff"],
            "disabled": true,
        },
        "resource": {"namespace": "claviger", "name": "ada"},
        "password": {"hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", "source": "1"},
        "absent_since": AT,
        "done": "digest",
    }));
}

#[test]
fn an_interaction_of_the_first_version_is_still_read() {
    still_read::<InteractionRecord>(&json!({
        "hash": HASH, "session": HASH, "user_uid": "uid-ada",
        "request": {
            "client_uid": "uid-shop", "client_id": "team-a.shop",
            "redirect_uri": "https://shop.example.org/callback", "scope": ["openid"], "state": "s", "nonce": "n",
            "code_challenge": "c",
            "prompt": {"none": false, "login": true, "consent": true, "select_account": true},
            "max_age": {"secs": 60, "nanos": 0}, "auth_time_requested": true, "login_hint": "ada",
            "subject_hint": "ada",
        },
        "started_at": AT, "authenticated_here": true, "expires_at": AT,
    }));
}

#[test]
fn what_hangs_on_a_grant_of_the_first_version_is_still_read() {
    still_read::<GrantRecord>(&json!({
        "id": "grant", "client_uid": "uid-shop", "client_id": "team-a.shop", "user_uid": "uid-ada",
        "subject": "ada", "scope": ["email", "openid"], "session": HASH, "offline": true,
        "authentication": {"at": AT, "methods": ["pwd"]}, "auth_time_requested": true, "nonce": "n",
        "created_at": AT, "expires_at": AT, "revoked_at": AT,
    }));
    still_read::<AuthorizationCodeRecord>(&json!({
        "hash": HASH, "grant_id": "grant",
        "binding": {
            "client_uid": "uid-shop", "redirect_uri": "https://shop.example.org/callback", "code_challenge": "c",
        },
        "expires_at": AT, "redeemed_at": AT,
    }));
    still_read::<RefreshTokenRecord>(&json!({
        "hash": HASH, "grant_id": "grant", "expires_at": AT, "spent_at": AT,
    }));
}

#[test]
fn the_cluster_of_the_first_version_is_still_read() {
    still_read::<ClusterIdentity>(&json!({"uid": "cluster", "watched_namespaces": ["team-a"]}));
}

const REQUEST: &str = r#"{
    "client_uid": "uid-shop", "client_id": "team-a.shop", "redirect_uri": "https://shop.example.org/callback",
    "response_mode": "form_post", "scope": ["openid"], "resources": ["urn:a"], "state": "state", "nonce": "nonce",
    "code_challenge": "challenge",
    "prompt": {"none": false, "login": true, "consent": true, "select_account": false},
    "max_age": {"secs": 60, "nanos": 0}, "auth_time_requested": true, "login_hint": "ada", "subject_hint": "subject-ada"
}"#;

#[test]
fn a_pushed_request_of_the_first_version_is_still_read() {
    let request: Value = serde_json::from_str(REQUEST).unwrap();
    still_read::<PushedRequestRecord>(&json!({"hash": HASH, "request": request, "expires_at": AT}));
}

#[test]
fn a_device_code_of_the_first_version_is_still_read() {
    let mut request: Value = serde_json::from_str(REQUEST).unwrap();
    request["device"] = json!({"code": HASH, "user_code": "BCDF-GHJK"});
    for answer in [json!("pending"), json!("denied"), json!({"approved": "grant"})] {
        still_read::<DeviceCodeRecord>(&json!({
            "hash": HASH, "user_code": HASH, "request": request, "expires_at": AT, "interval_seconds": 5, "polled_at": AT,
            "answer": answer,
        }));
    }
}

#[test]
fn what_is_told_of_sessions_is_still_read() {
    still_read::<ParticipantRecord>(&json!({"client_uid": "uid-shop", "sub": "ada", "sids": ["one", "two"]}));
    still_read::<LogoutNoticeRecord>(&json!({
        "client_uid": "uid-shop", "sub": "ada", "sid": "one", "attempts": 2, "due_at": AT, "expires_at": AT,
    }));
}
