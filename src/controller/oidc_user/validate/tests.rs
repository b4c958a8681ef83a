use super::*;

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
