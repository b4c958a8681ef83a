use super::*;
use crate::oidc::standard_claims::StandardClaims;

fn user(spec: &str) -> OidcUser {
    let mut resource = OidcUser::new("ada", serde_yaml::from_str(spec).unwrap());
    resource.metadata.namespace = Some("claviger".to_owned());
    resource.metadata.uid = Some("uid-ada".to_owned());
    resource
}

fn record(subject: &str) -> UserRecord {
    let mut valid = validate(&user("{}"), None).unwrap();
    valid.user.subject = Subject::new(subject);
    UserRecord {
        user: valid.user,
        updated_at: None,
        resource: valid.resource,
        password: None,
        own_password: None,
        absent_since: None,
        done: None,
    }
}

#[test]
fn a_user_needs_nothing() {
    let valid = validate(&user("{}"), None).unwrap();
    assert_eq!(valid.user.username, "ada");
    assert_eq!(valid.user.subject.as_str(), "uid-ada");
    assert_eq!(valid.password, PasswordSource::None);
    assert!(!valid.user.disabled && !valid.user.email_verified);
}

#[test]
fn every_field_reaches_the_user() {
    let valid = validate(
        &user(
            "
            username: ada.l
            subject: '248289761001'
            email: ada@example.org
            emailVerified: true
            displayName: Ada Lovelace
            givenName: Ada
            familyName: Lovelace
            middleName: Augusta
            nickname: Countess
            profile: https://example.org/ada
            picture: https://example.org/ada.png
            website: https://ada.example
            gender: female
            birthdate: 1815-12-10
            zoneinfo: Europe/London
            locale: en-GB
            phoneNumber: +44 20 7946 0000
            phoneNumberVerified: true
            address:
              formatted: \"12 St James's Square\\nLondon\"
              streetAddress: 12 St James's Square
              locality: London
              region: Greater London
              postalCode: SW1Y 4LB
              country: GB
            groups: [staff, admins]
            disabled: true
            password: {secretRef: {name: ada}}
            ",
        ),
        None,
    )
    .unwrap();
    let user = valid.user;
    assert_eq!(
        (user.username.as_str(), user.subject.as_str()),
        ("ada.l", "248289761001")
    );
    assert_eq!(
        (user.email.as_deref(), user.email_verified),
        (Some("ada@example.org"), true)
    );
    assert_eq!(user.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(user.given_name.as_deref(), Some("Ada"));
    assert_eq!(user.family_name.as_deref(), Some("Lovelace"));
    assert_eq!(user.groups, ["staff", "admins"]);
    assert!(user.disabled);
    // As the claims are written, so that every field is looked at.
    assert_eq!(
        serde_json::to_value(&user.standard_claims).unwrap(),
        serde_json::json!({
            "middle_name": "Augusta", "nickname": "Countess", "profile": "https://example.org/ada",
            "picture": "https://example.org/ada.png", "website": "https://ada.example", "gender": "female",
            "birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
            "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
            "address": {
                "formatted": "12 St James's Square\nLondon", "street_address": "12 St James's Square",
                "locality": "London", "region": "Greater London", "postal_code": "SW1Y 4LB", "country": "GB",
            },
        })
    );
    assert_eq!(
        valid.password,
        PasswordSource::Secret {
            name: "ada".to_owned(),
            key: "password".to_owned()
        }
    );
}

#[test]
fn an_address_that_is_not_there_is_not_verified() {
    assert!(
        !validate(&user("emailVerified: true"), None)
            .unwrap()
            .user
            .email_verified
    );
    let valid = validate(&user("{phoneNumberVerified: true, address: {}}"), None).unwrap();
    assert_eq!(valid.user.standard_claims, StandardClaims::default());
}

#[test]
fn a_refusal_names_the_field() {
    for (spec, field) in [
        ("username: Ada", "spec.username "),
        ("username: ''", "spec.username "),
        ("username: .ada", "spec.username "),
        ("username: 'ада'", "spec.username "),
        ("subject: ''", "spec.subject "),
        ("subject: 'a b'", "spec.subject "),
        ("email: nobody", "spec.email "),
        ("email: a@b@c", "spec.email "),
        ("email: 'a @b'", "spec.email "),
        ("displayName: \"\\u0007\"", "spec.displayName "),
        ("givenName: ''", "spec.givenName "),
        ("familyName: \"a\\tb\"", "spec.familyName "),
        ("groups: [staff, \"a\\0b\"]", "spec.groups[1] "),
        ("middleName: ''", "spec.middleName "),
        ("nickname: \"a\\nb\"", "spec.nickname "),
        ("profile: example.org", "spec.profile "),
        ("picture: 'data:image/png;base64,AA'", "spec.picture "),
        ("website: 'javascript:alert(1)'", "spec.website "),
        ("gender: \"\\u202e\"", "spec.gender "),
        ("birthdate: 1815-02-29", "spec.birthdate "),
        ("zoneinfo: Europe/", "spec.zoneinfo "),
        ("locale: de_CH", "spec.locale "),
        ("phoneNumber: '0441234'", "spec.phoneNumber "),
        ("address: {formatted: \"a\\tb\"}", "spec.address.formatted "),
        ("address: {streetAddress: ''}", "spec.address.streetAddress "),
        ("address: {locality: \"a\\nb\"}", "spec.address.locality "),
        ("address: {region: ''}", "spec.address.region "),
        ("address: {postalCode: ''}", "spec.address.postalCode "),
        ("address: {country: ''}", "spec.address.country "),
        ("password: {}", "spec.password "),
        ("password: {generate: false}", "spec.password "),
        (
            "password: {generate: true, secretRef: {name: ada}}",
            "spec.password ",
        ),
    ] {
        let verdict = validate(&user(spec), None).unwrap_err();
        assert_eq!(verdict.reason, reason::INVALID_SPEC, "{spec}");
        assert!(verdict.message.starts_with(field), "{spec}: {}", verdict.message);
    }
}

#[test]
fn a_subject_never_changes() {
    let pinned = user("subject: other");
    let verdict = validate(&pinned, Some(&record("uid-ada"))).unwrap_err();
    assert_eq!(verdict.reason, reason::SUBJECT_CONFLICT);
    assert!(validate(&pinned, Some(&record("other"))).is_ok());
    let verdict = validate(&user("{}"), Some(&record("other"))).unwrap_err();
    assert_eq!(verdict.reason, reason::SUBJECT_CONFLICT, "nor is it taken away");
}
