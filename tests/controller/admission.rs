//! What the API server refuses by our schema, before claviger sees it: one bad value of each kind for each field, and the
//! URIs of rules 2 to 4.

use claviger::crd::v1alpha1::OidcClient;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::harness::{HOME, SHOP, World, client, create};

/// Asks the API server, as a dry run; the refusal in its words.
async fn ask(world: &World, kind: &str, name: &str, spec: &Value) -> Result<Value, String> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("claviger.dev", "v1alpha1", kind));
    let namespace = if kind == "OidcUser" { HOME } else { "default" };
    let api: Api<DynamicObject> = Api::namespaced_with(world.admin(), namespace, &resource);
    let mut object = DynamicObject::new(name, &resource);
    object.data = json!({ "spec": spec });
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&dry_run, &object).await {
        Ok(created) => Ok(created.data),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

/// A client's spec with one field set, by its path.
fn with(field: &str, value: &Value) -> Value {
    let mut spec = json!({"redirectUris": ["https://shop.example.org/callback"]});
    set(&mut spec, field, value);
    spec
}

fn set(spec: &mut Value, field: &str, value: &Value) {
    let mut at = spec;
    for part in field.split('.') {
        at = &mut at[part];
    }
    *at = value.clone();
}

/// Expects a refusal that names the field.
async fn refused(world: &World, kind: &str, field: &str, spec: &Value) {
    let answer = ask(world, kind, "x", spec).await;
    let Err(told) = answer else {
        panic!("{kind} {field} took {spec}")
    };
    assert!(told.contains(&format!("spec.{field}")), "{spec}: {told}");
}

/// Values that no text field takes.
fn bad_texts(longest: usize) -> Vec<Value> {
    vec![
        json!(1),
        json!(["x"]),
        json!({"x": "y"}),
        json!(true),
        json!(""),
        json!("x".repeat(longest + 1)),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("a\u{7f}"),
        json!("a\u{85}b"),
    ]
}

#[tokio::test]
async fn no_text_field_takes_another_type_nothing_too_much_or_control_characters() {
    let world = World::shared();
    for (kind, field, longest) in [
        ("OidcClient", "displayName", 128),
        ("OidcClient", "description", 512),
        ("OidcClient", "defaultMaxAge", 7),
        ("OidcClient", "consent", 8),
        ("OidcClient", "pkce", 8),
        ("OidcClient", "backchannelLogoutUri", 2048),
        ("OidcClient", "profile", 5),
        ("OidcClient", "tokens.accessTokenLifetime", 7),
        ("OidcClient", "tokens.idTokenLifetime", 7),
        ("OidcClient", "tokens.refreshTokenIdleLifetime", 7),
        ("OidcClient", "tokens.refreshTokenLifetime", 7),
        ("OidcClient", "tokens.idTokenSignedResponseAlg", 5),
        ("OidcClient", "tokens.accessTokenSigningAlg", 5),
        ("OidcClient", "subjectType", 8),
        ("OidcClient", "secret.name", 253),
        ("OidcClient", "clientId", 128),
        ("OidcClient", "rotation.interval", 7),
        ("OidcClient", "rotation.overlap", 7),
        ("OidcUser", "username", 128),
        ("OidcUser", "subject", 255),
        ("OidcUser", "email", 254),
        ("OidcUser", "displayName", 128),
        ("OidcUser", "givenName", 128),
        ("OidcUser", "familyName", 128),
        ("OidcUser", "middleName", 128),
        ("OidcUser", "nickname", 128),
        ("OidcUser", "profile", 2048),
        ("OidcUser", "picture", 2048),
        ("OidcUser", "website", 2048),
        ("OidcUser", "gender", 128),
        ("OidcUser", "birthdate", 10),
        ("OidcUser", "zoneinfo", 64),
        ("OidcUser", "locale", 35),
        ("OidcUser", "phoneNumber", 48),
        ("OidcUser", "address.locality", 128),
        ("OidcUser", "address.region", 128),
        ("OidcUser", "address.postalCode", 128),
        ("OidcUser", "address.country", 128),
        ("OidcUser", "password.secretRef.name", 253),
        ("OidcUser", "password.secretRef.key", 253),
    ] {
        for bad in bad_texts(longest) {
            let mut spec = if kind == "OidcUser" {
                json!({})
            } else {
                with("suspend", &json!(false))
            };
            if field == "password.secretRef.key" {
                set(&mut spec, "password.secretRef.name", &json!("x"));
            }
            set(&mut spec, field, &bad);
            refused(world, kind, field, &spec).await;
        }
    }
}

#[tokio::test]
async fn no_list_takes_another_type_too_many_twins_or_bad_items() {
    let world = World::shared();
    for (kind, field, most) in [
        ("OidcClient", "redirectUris", 64),
        ("OidcClient", "postLogoutRedirectUris", 16),
        ("OidcClient", "allowedOrigins", 64),
        ("OidcClient", "audiences", 32),
        ("OidcClient", "resourceIdentifiers", 32),
        ("OidcClient", "resourceAccess.allowedNamespaces", 64),
        ("OidcClient", "grantTypes", 8),
        ("OidcClient", "scopes", 8),
        ("OidcClient", "tokenEndpointAuthMethods", 8),
        ("OidcClient", "access.allowedGroups", 256),
        ("OidcClient", "access.allowedUsers", 256),
        ("OidcUser", "groups", 256),
    ] {
        let many: Vec<String> = (0..=most)
            .map(|number| format!("https://a{number}.example"))
            .collect();
        for bad in [
            json!("x"),
            json!(7),
            json!({"x": "y"}),
            json!([1]),
            json!([""]),
            json!(["a\u{0}"]),
            json!(["x".repeat(2049)]),
            json!(many),
        ] {
            let spec = if kind == "OidcUser" {
                json!({ field: bad })
            } else {
                with(field, &bad)
            };
            refused(world, kind, field, &spec).await;
        }
    }
    for (field, item) in [
        ("redirectUris", "https://a.example/cb"),
        ("postLogoutRedirectUris", "https://a.example/"),
        ("allowedOrigins", "https://a.example"),
        ("audiences", "urn:a"),
        ("resourceIdentifiers", "urn:a"),
        ("resourceAccess.allowedNamespaces", "team-b"),
        ("grantTypes", "authorization_code"),
        ("scopes", "openid"),
        ("tokenEndpointAuthMethods", "none"),
        ("access.allowedGroups", "staff"),
    ] {
        refused(world, "OidcClient", field, &with(field, &json!([item, item]))).await;
    }
}

#[tokio::test]
async fn switches_take_true_and_false_only() {
    let world = World::shared();
    for bad in [json!("true"), json!(1), json!([])] {
        for field in [
            "suspend",
            "requireSignedRequestObject",
            "requirePushedAuthorizationRequests",
            "dpopBoundAccessTokens",
        ] {
            refused(world, "OidcClient", field, &with(field, &bad)).await;
        }
        for field in ["disabled", "emailVerified", "phoneNumberVerified"] {
            refused(world, "OidcUser", field, &json!({ field: bad })).await;
        }
        refused(
            world,
            "OidcUser",
            "password.generate",
            &json!({"password": {"generate": bad}}),
        )
        .await;
    }
}

/// What a signing key signs lives a day at most, since the key is kept as long; other lifetimes are free.
#[tokio::test]
async fn lifetimes_of_what_is_signed_are_bounded() {
    let world = World::shared();
    for field in ["tokens.accessTokenLifetime", "tokens.idTokenLifetime"] {
        for good in ["1s", "10m", "24h", "1d", "86400s", "1440m"] {
            let answer = ask(world, "OidcClient", "x", &with(field, &json!(good))).await;
            assert!(answer.is_ok(), "{field} {good}: {answer:?}");
        }
        for bad in ["0s", "86401s", "1441m", "25h", "2d", "3650d", "999999d"] {
            let told = ask(world, "OidcClient", "x", &with(field, &json!(bad))).await;
            let told = told.expect_err(bad);
            assert!(
                told.contains(&format!("spec.{field}")) && told.contains("at most 24h"),
                "{told}"
            );
        }
        let told = ask(world, "OidcClient", "x", &with(field, &json!("1week"))).await;
        let told = told.expect_err("no duration");
        assert!(!told.contains("24h") && !told.contains("rule"), "{told}");
    }
    for field in ["tokens.refreshTokenIdleLifetime", "tokens.refreshTokenLifetime"] {
        let answer = ask(world, "OidcClient", "x", &with(field, &json!("365d"))).await;
        assert!(answer.is_ok(), "{field}: {answer:?}");
    }
}

/// Fields that depend on each other.
#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    let world = World::shared();
    refused(world, "OidcClient", "redirectUris", &json!({})).await;
    refused(world, "OidcClient", "redirectUris", &json!({"redirectUris": []})).await;
    refused(
        world,
        "OidcClient",
        "redirectUris",
        &json!({"redirectUris": null}),
    )
    .await;
    refused(
        world,
        "OidcClient",
        "grantTypes",
        &with("grantTypes", &json!(["refresh_token"])),
    )
    .await;
    refused(
        world,
        "OidcClient",
        "redirectUris",
        &json!({"grantTypes": ["authorization_code", "client_credentials"]}),
    )
    .await;
    for (grant_types, methods) in [
        (
            json!(["client_credentials", "refresh_token"]),
            json!(["client_secret_basic"]),
        ),
        (json!(["client_credentials"]), json!(["none"])),
    ] {
        let spec = json!({"grantTypes": grant_types, "tokenEndpointAuthMethods": methods});
        refused(world, "OidcClient", "grantTypes", &spec).await;
    }
    let alone = json!({"grantTypes": ["client_credentials"]});
    ask(world, "OidcClient", "x", &alone).await.unwrap();
    for methods in [
        json!(["none", "client_secret_basic"]),
        json!(["client_secret_post", "none"]),
        json!([]),
    ] {
        let spec = with("tokenEndpointAuthMethods", &methods);
        refused(world, "OidcClient", "tokenEndpointAuthMethods", &spec).await;
    }
    // What an app signs is verified by keys that it registers, and a public client has none to sign with.
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x".repeat(43)}]});
    for methods in [
        json!(["private_key_jwt"]),
        json!(["client_secret_basic", "private_key_jwt"]),
    ] {
        let mut spec = with("tokenEndpointAuthMethods", &methods);
        refused(world, "OidcClient", "jwks", &spec).await;
        set(&mut spec, "jwks", &keys);
        assert!(ask(world, "OidcClient", "x", &spec).await.is_ok());
    }
    let mut spec = with("tokenEndpointAuthMethods", &json!(["private_key_jwt", "none"]));
    set(&mut spec, "jwks", &keys);
    refused(world, "OidcClient", "tokenEndpointAuthMethods", &spec).await;
    // A pod proves who it is by an account of its own.
    for accounts in [
        json!([]),
        json!([{"name": ""}]),
        json!([{"name": "Shop"}]),
        json!([{"name": "shop"}, {"name": "shop"}]),
        json!([{}]),
        json!(["shop"]),
    ] {
        let mut spec = with("tokenEndpointAuthMethods", &json!(["private_key_jwt"]));
        set(&mut spec, "serviceAccounts", &accounts);
        refused(world, "OidcClient", "serviceAccounts", &spec).await;
    }
    let mut spec = with("serviceAccounts", &json!([{"name": "shop"}]));
    refused(world, "OidcClient", "serviceAccounts", &spec).await;
    set(&mut spec, "tokenEndpointAuthMethods", &json!(["private_key_jwt"]));
    assert!(ask(world, "OidcClient", "x", &spec).await.is_ok());
    set(&mut spec, "serviceAccounts", &json!([{"name": "default"}]));
    refused(world, "OidcClient", "serviceAccounts[0].name", &spec).await;
    // A public client is never let off PKCE.
    let mut spec = with("pkce", &json!("Optional"));
    assert!(ask(world, "OidcClient", "x", &spec).await.is_ok());
    set(&mut spec, "tokenEndpointAuthMethods", &json!(["none"]));
    refused(world, "OidcClient", "pkce", &spec).await;
    for password in [
        json!({}),
        json!({"generate": false}),
        json!({"secretRef": null}),
        json!({"generate": true, "secretRef": {"name": "x"}}),
    ] {
        refused(world, "OidcUser", "password", &json!({ "password": password })).await;
    }
    let long = ask(
        world,
        "OidcClient",
        &"x".repeat(64),
        &with("suspend", &json!(false)),
    )
    .await;
    assert!(long.unwrap_err().contains("metadata.name"));
}

/// What contradicts `profile: FAPI2` is refused, by each field alone.
#[tokio::test]
async fn a_profile_refuses_what_contradicts_it() {
    let world = World::shared();
    let keys = |alg: &str| json!({"keys": [{"kty": "RSA", "n": "x".repeat(342), "e": "AQAB", "alg": alg}]});
    let mut good = with("profile", &json!("FAPI2"));
    refused(world, "OidcClient", "tokenEndpointAuthMethods", &good).await;
    set(&mut good, "tokenEndpointAuthMethods", &json!(["private_key_jwt"]));
    refused(world, "OidcClient", "jwks", &good).await;
    set(&mut good, "jwks", &keys("PS256"));
    set(&mut good, "tokens.idTokenSignedResponseAlg", &json!("PS256"));
    let answer = ask(world, "OidcClient", "x", &good).await;
    assert!(answer.is_ok(), "{answer:?}");
    for (field, bad) in [
        ("profile", json!("FAPI1")),
        (
            "tokenEndpointAuthMethods",
            json!(["private_key_jwt", "client_secret_basic"]),
        ),
        ("tokenEndpointAuthMethods", json!(["none"])),
        ("pkce", json!("Optional")),
        (
            "grantTypes",
            json!([
                "authorization_code",
                "urn:ietf:params:oauth:grant-type:device_code"
            ]),
        ),
        (
            "redirectUris",
            json!(["https://a.example/cb", "http://127.0.0.1/cb"]),
        ),
        ("redirectUris", json!(["org.example.app:/cb"])),
        ("jwks", keys("RS256")),
        ("serviceAccounts", json!([{"name": "shop"}])),
    ] {
        let mut spec = good.clone();
        set(&mut spec, field, &bad);
        refused(world, "OidcClient", field, &spec).await;
    }
    for field in ["tokens.idTokenSignedResponseAlg", "tokens.accessTokenSigningAlg"] {
        let mut spec = good.clone();
        set(&mut spec, field, &json!("RS256"));
        refused(world, "OidcClient", "tokens", &spec).await;
    }
}

/// Registration refuses fragment, userinfo, backslash, control and non-ASCII characters, dangerous schemes, relative URIs
/// and plain http outside loopback; private-use schemes need a dot (RFC 8252 section 7.1). Here the schema's half; the
/// server's is beside `RedirectUri`.
#[tokio::test]
async fn rule_4_the_schema_refuses_bad_redirect_uris() {
    let world = World::shared();
    for good in [
        "https://a.example/cb?x=1&y=%41",
        "https://a.example",
        "https://[2001:db8::1]:8443/cb",
        "https://a.example/name@host",
        "http://127.0.0.1:8080/cb",
        "http://[::1]/cb",
        "http://localhost/cb",
        "org.example.app:/callback",
        "org.example.app://callback",
    ] {
        let answer = ask(world, "OidcClient", "x", &with("redirectUris", &json!([good]))).await;
        assert!(answer.is_ok(), "{good}: {answer:?}");
        // claviger itself goes there, so an app's own scheme leads nowhere.
        let field = "backchannelLogoutUri";
        if good.starts_with("http") {
            let answer = ask(world, "OidcClient", "x", &with(field, &json!(good))).await;
            assert!(answer.is_ok(), "{good}: {answer:?}");
        } else {
            refused(world, "OidcClient", field, &with(field, &json!(good))).await;
        }
    }
    for bad in [
        "/cb",
        "//a.example/cb",
        "a.example/cb",
        "https:",
        "https://",
        "https:a.example/cb",
        "https:///cb",
        "HTTPS://a.example/cb",
        "https://a.example/#f",
        "https://a.example/cb#",
        "https://u@a.example/",
        "https://u:p@a.example/",
        "https://a.example\\@b.example/",
        "https://a.example/\\b",
        "https://a.example/ b",
        "https://a.example/\tb",
        "https://a.example/b\n",
        "https://\u{e4}.example/",
        "https://a.example/\u{200b}",
        "https://a.example/%4",
        "https://a.example/*",
        "https://*.example/",
        "http://a.example/",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
        "http://localhost@a.example/",
        "http://127.0.0.2/",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "myapp:/cb",
        "myapp://cb",
    ] {
        for field in ["redirectUris", "postLogoutRedirectUris"] {
            let item = format!("{field}[0]");
            refused(world, "OidcClient", &item, &with(field, &json!([bad]))).await;
        }
        let field = "backchannelLogoutUri";
        refused(world, "OidcClient", field, &with(field, &json!(bad))).await;
    }
}

/// What logout tokens must hold is only for an app that is told anything.
#[tokio::test]
async fn rule_73_what_a_logout_token_holds_needs_an_address() {
    let world = World::shared();
    let field = "backchannelLogoutSessionRequired";
    let mut spec = with(field, &json!(true));
    refused(world, "OidcClient", field, &spec).await;
    set(
        &mut spec,
        "backchannelLogoutUri",
        &json!("https://a.example/logout"),
    );
    assert!(ask(world, "OidcClient", "x", &spec).await.is_ok());
    refused(world, "OidcClient", field, &with(field, &json!("yes"))).await;
}

/// Keys of an app are public, strong, and what their type and algorithm say (rule 51). Here the schema's half.
#[tokio::test]
async fn rule_51_the_schema_refuses_what_is_no_public_key() {
    let world = World::shared();
    let rsa = || json!({"kty": "RSA", "n": "x".repeat(342), "e": "AQAB"});
    let ec = || json!({"kty": "EC", "crv": "P-256", "x": "x".repeat(43), "y": "y".repeat(43)});
    let okp = || json!({"kty": "OKP", "crv": "Ed25519", "x": "x".repeat(43)});
    let named = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let good = json!([
        named(named(rsa(), "kid", json!("rsa")), "alg", json!("PS256")),
        named(named(ec(), "kid", json!("a")), "use", json!("sig")),
        named(named(okp(), "kid", json!("b")), "alg", json!("EdDSA")),
    ]);
    for good in [
        good,
        json!([okp()]),
        json!([named(rsa(), "n", json!("x".repeat(683)))]),
    ] {
        let spec = with("jwks", &json!({"keys": good}));
        let answer = ask(world, "OidcClient", "x", &spec).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    for bad in [
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "RSA", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256", "x": "x".repeat(43)}),
        json!({"crv": "Ed25519", "x": "x".repeat(43)}),
        named(rsa(), "d", json!("AAAA")),
        named(ec(), "d", json!("AAAA")),
        named(rsa(), "n", json!("x".repeat(341))),
        named(rsa(), "n", json!("x".repeat(684))),
        named(rsa(), "e", json!("Aw")),
        named(rsa(), "e", json!("_____w")),
        named(rsa(), "n", json!("=".repeat(342))),
        named(rsa(), "alg", json!("ES256")),
        named(rsa(), "alg", json!("HS256")),
        named(rsa(), "alg", json!("none")),
        named(rsa(), "use", json!("enc")),
        named(ec(), "crv", json!("P-384")),
        named(ec(), "crv", json!("Ed25519")),
        named(ec(), "x", json!("x".repeat(42))),
        named(okp(), "crv", json!("P-256")),
        named(okp(), "alg", json!("RS256")),
        named(okp(), "kid", json!("")),
        named(okp(), "kid", json!("x".repeat(129))),
    ] {
        refused(
            world,
            "OidcClient",
            "jwks.keys[0]",
            &with("jwks", &json!({"keys": [bad]})),
        )
        .await;
    }
    // What is to be verified needs a key.
    let field = "requireSignedRequestObject";
    refused(world, "OidcClient", field, &with(field, &json!(true))).await;
    let twins = [named(okp(), "kid", json!("a")), named(ec(), "kid", json!("a"))];
    for keys in [
        json!([]),
        json!(twins),
        json!(vec![okp(); 9]),
        json!([okp(), named(ec(), "kid", json!("a"))]),
        json!({}),
        Value::Null,
    ] {
        refused(
            world,
            "OidcClient",
            "jwks.keys",
            &with("jwks", &json!({"keys": keys})),
        )
        .await;
    }
}

/// Resource indicators are absolute URIs without a fragment (RFC 8707 section 2). Here the schema's half; the server's is
/// beside `check_resource`.
#[tokio::test]
async fn rule_41_the_schema_refuses_bad_resources() {
    let world = World::shared();
    for field in ["audiences", "resourceIdentifiers"] {
        for good in [
            "https://api.example.org/v1?x=y",
            "urn:example:api",
            "api://billing",
        ] {
            let answer = ask(world, "OidcClient", "x", &with(field, &json!([good]))).await;
            assert!(answer.is_ok(), "{good}: {answer:?}");
        }
        for bad in [
            "api",
            "/v1",
            "https:",
            "https://a.example#",
            "https://a.example/ x",
            "urn:\u{e4}",
        ] {
            refused(
                world,
                "OidcClient",
                &format!("{field}[0]"),
                &with(field, &json!([bad])),
            )
            .await;
        }
    }
    for bad in [json!("JWT"), json!(""), json!(1)] {
        let spec = with("tokens", &json!({"accessTokenFormat": bad}));
        refused(world, "OidcClient", "tokens.accessTokenFormat", &spec).await;
    }
}

/// What the standard claims say of a person has the form that apps expect.
#[tokio::test]
async fn standard_claims_have_their_forms() {
    let world = World::shared();
    for (field, good) in [
        ("profile", "https://example.org/~ada?x=%20#me"),
        ("picture", "http://[2001:db8::1]:8080/ada.png"),
        ("website", "https://ada.example"),
        ("birthdate", "1815-12-10"),
        ("birthdate", "0000-02-29"),
        ("birthdate", "1815"),
        ("zoneinfo", "America/Argentina/Buenos_Aires"),
        ("zoneinfo", "UTC"),
        ("locale", "de"),
        ("locale", "zh-Hant-TW"),
        ("phoneNumber", "+1 (604) 555-1234;ext=5678"),
        ("phoneNumber", "+442079460000"),
        ("address.formatted", "12 St James's Square\nLondon"),
        ("address.streetAddress", "12 St James's Square\nFirst floor"),
    ] {
        let mut spec = json!({});
        set(&mut spec, field, &json!(good));
        let answer = ask(world, "OidcUser", "x", &spec).await;
        assert!(answer.is_ok(), "{good}: {answer:?}");
    }
    for (field, bad) in [
        ("profile", "example.org"),
        ("profile", "javascript:alert(1)"),
        ("picture", "data:image/png;base64,AA"),
        ("picture", "https://ada@example.org/"),
        ("website", "https://"),
        ("website", "https://example.org/\"><script>"),
        ("birthdate", "10.12.1815"),
        ("birthdate", "1815-13-01"),
        ("birthdate", "1815-12"),
        ("zoneinfo", "Europe/"),
        ("zoneinfo", "../etc/passwd"),
        ("locale", "de_CH"),
        ("phoneNumber", "0441234"),
        ("phoneNumber", "+1"),
        ("phoneNumber", "+1234567890123456"),
        ("phoneNumber", "+14255551212;ext=a"),
        ("address.formatted", "a\tb"),
        ("address.streetAddress", "a\u{202e}b"),
    ] {
        let mut spec = json!({});
        set(&mut spec, field, &json!(bad));
        refused(world, "OidcUser", field, &spec).await;
    }
}

/// `Ready` is Unknown from the first moment, by the schema alone, so that whoever waits for it does wait.
#[tokio::test]
async fn a_new_resource_is_not_ready_yet() {
    let world = World::shared();
    for (kind, spec) in [
        ("OidcClient", with("suspend", &json!(false))),
        ("OidcUser", json!({})),
    ] {
        let created = ask(world, kind, "x", &spec).await.unwrap();
        let ready = &created["status"]["conditions"][0];
        assert_eq!(
            (&ready["type"], &ready["status"]),
            (&json!("Ready"), &json!("Unknown")),
            "{created}"
        );
    }
}

/// A subject may be pinned to what it is, and never changes.
#[tokio::test]
async fn a_subject_is_immutable() {
    use claviger::crd::v1alpha1::OidcUser;
    use kube::api::{Patch, PatchParams};

    let world = World::shared();
    let api: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let name = "immutable";
    let user = OidcUser::new(name, serde_json::from_value(json!({})).unwrap());
    api.create(&PostParams::default(), &user).await.unwrap();
    let patch = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        api.patch(name, &PatchParams::default(), &patch).await
    };
    assert!(patch(json!({"subject": "x"})).await.is_err());
    let status = Patch::Merge(json!({"status": {"subject": "x"}}));
    api.patch_status(name, &PatchParams::default(), &status)
        .await
        .unwrap();
    assert!(patch(json!({"subject": "y"})).await.is_err());
    patch(json!({"subject": "x"})).await.unwrap();
    assert!(patch(json!({"subject": "y"})).await.is_err());
    assert!(patch(json!({"subject": null})).await.is_err());
    api.delete(name, &kube::api::DeleteParams::default())
        .await
        .unwrap();
}

/// A schedule that nobody can keep up with, or in which the old secret outlives the new one, is refused at once.
#[tokio::test]
async fn a_rotation_has_sensible_times() {
    let world = World::shared();
    for (rotation, field) in [
        (json!({"interval": "59m", "overlap": "1m"}), "rotation.interval"),
        (json!({"interval": "24h"}), "rotation.interval"),
        (
            json!({"interval": "1d", "overlap": "86400s"}),
            "rotation.interval",
        ),
        (json!({"interval": "60d", "overlap": "31d"}), "rotation.overlap"),
        (json!({"overlap": "721h"}), "rotation.overlap"),
        (json!({"interval": "monthly"}), "rotation.interval"),
    ] {
        refused(world, "OidcClient", field, &with("rotation", &rotation)).await;
    }
    for rotation in [
        json!({}),
        json!({"interval": "1h", "overlap": "59m"}),
        json!({"interval": "25h"}),
        json!({"interval": "90d", "overlap": "0s"}),
        json!({"overlap": "30d"}),
    ] {
        let accepted = ask(world, "OidcClient", "x", &with("rotation", &rotation))
            .await
            .unwrap();
        assert!(accepted["spec"]["rotation"]["overlap"].is_string(), "{accepted}");
    }
}

/// Apps, tokens and consents hang on the client id.
#[tokio::test]
async fn a_client_id_cannot_be_changed() {
    let world = World::shared();
    let namespace = world.namespace("id").await;
    let named = format!("clientId: mine\n{SHOP}");
    create(world, &client(&namespace, "named", &named)).await;
    create(world, &client(&namespace, "default", SHOP)).await;
    let api: Api<OidcClient> = Api::namespaced(world.admin(), &namespace);
    for (name, client_id) in [
        ("named", json!("other")),
        ("named", json!(null)),
        ("default", json!("mine")),
    ] {
        let patch = Patch::Merge(json!({"spec": {"clientId": client_id}}));
        let refused = api
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("clientId cannot be changed"),
            "{refused}"
        );
    }
    let patch = Patch::Merge(json!({"spec": {"clientId": "mine", "suspend": true}}));
    api.patch("named", &PatchParams::default(), &patch).await.unwrap();
}
