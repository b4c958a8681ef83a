use serde_json::json;

use super::*;
use crate::oidc::identifier::{ResourceUid, Subject};
use crate::oidc::standard_claims::{Address, StandardClaims};

fn ada() -> EndUser {
    EndUser {
        uid: ResourceUid::new("uid"),
        subject: Subject::new("subject"),
        username: "ada".into(),
        name: Some("Ada Lovelace".into()),
        given_name: Some("Ada".into()),
        family_name: None,
        email: Some("ada@example.org".into()),
        email_verified: true,
        groups: vec!["engine".into()],
        standard_claims: StandardClaims::default(),
        disabled: false,
    }
}

fn at_userinfo(user: &EndUser, scope: &str) -> Value {
    let person = Person {
        user,
        updated_at: Some(Timestamp::UNIX_EPOCH),
    };
    values(&person, of_scope(&ScopeSet::parse(scope))).into()
}

#[test]
fn each_scope_gives_its_claims_and_no_others() {
    for (scope, expected) in [
        ("openid", json!({})),
        (
            "openid profile",
            json!({"name": "Ada Lovelace", "given_name": "Ada", "preferred_username": "ada", "updated_at": 0}),
        ),
        (
            "openid email",
            json!({"email": "ada@example.org", "email_verified": true}),
        ),
        ("openid groups", json!({"groups": ["engine"]})),
        ("openid address phone", json!({})),
        ("openid offline_access", json!({})),
    ] {
        assert_eq!(at_userinfo(&ada(), scope), expected, "{scope}");
    }
}

#[test]
fn every_standard_claim_has_its_name_and_value() {
    let text = |text: &str| Some(text.to_owned());
    let standard_claims = StandardClaims {
        middle_name: text("Augusta"),
        nickname: text("Countess"),
        profile: text("https://example.org/ada"),
        picture: text("https://example.org/ada.png"),
        website: text("https://ada.example"),
        gender: text("female"),
        birthdate: text("1815-12-10"),
        zoneinfo: text("Europe/London"),
        locale: text("en-GB"),
        phone_number: text("+44 20 7946 0000"),
        phone_number_verified: true,
        address: Some(Address {
            formatted: text("12 St James's Square\nLondon"),
            street_address: text("12 St James's Square"),
            locality: text("London"),
            region: text("Greater London"),
            postal_code: text("SW1Y 4LB"),
            country: text("GB"),
        }),
    };
    let user = EndUser {
        family_name: text("Lovelace"),
        standard_claims,
        ..ada()
    };
    assert_eq!(
        at_userinfo(&user, "openid profile email address phone groups"),
        json!({
            "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "middle_name": "Augusta",
            "nickname": "Countess", "preferred_username": "ada", "profile": "https://example.org/ada",
            "picture": "https://example.org/ada.png", "website": "https://ada.example", "gender": "female",
            "birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": 0,
            "email": "ada@example.org", "email_verified": true,
            "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
            "address": {
                "formatted": "12 St James's Square\nLondon", "street_address": "12 St James's Square",
                "locality": "London", "region": "Greater London", "postal_code": "SW1Y 4LB", "country": "GB",
            },
            "groups": ["engine"],
        })
    );
}

#[test]
fn what_is_not_there_is_not_verified() {
    let user = EndUser { email: None, ..ada() };
    assert_eq!(at_userinfo(&user, "openid email phone"), json!({}));
}

#[test]
fn only_groups_come_by_scope_into_the_id_token() {
    let scope = ScopeSet::parse("openid profile email address phone groups");
    assert!(of_scope_in_id_token(&scope).eq([Claim::Groups]));
    let without = ScopeSet::parse("openid profile email address phone");
    assert_eq!(of_scope_in_id_token(&without).count(), 0);
}

#[test]
fn the_list_of_all_has_every_claim_once_under_its_stored_name() {
    let names: std::collections::BTreeSet<_> = Claim::ALL.map(Claim::as_str).into();
    assert_eq!(names.len(), Claim::ALL.len());
    for claim in Claim::ALL {
        assert_eq!(serde_json::to_value(claim).unwrap(), claim.as_str());
    }
}
