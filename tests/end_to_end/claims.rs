//! What an app learns of a person: from the resources that say it to the tokens and userinfo of the running program.

use jsonwebtoken::{Algorithm, decode_header};
use serde_json::{Value, json};
use testbed::browser::Browser;
use testbed::relying_party::{Registration, RelyingParty};

use crate::harness::{Served, StoreKind, World};

const USERNAME: &str = "countess";
const PASSWORD: &str = "notes on the analytical engine";
/// Nothing listens there; the browser stops before it.
const SHOP: &str = "https://shop.example.org/callback";
const BANK: &str = "https://bank.example.org/callback";

/// Registers an app at this redirect URI.
async fn app(served: &Served, name: &str, redirect_uri: &str, spec: Value) -> RelyingParty {
    let mut all = json!({ "redirectUris": [redirect_uri] });
    all.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    let registration = Registration {
        redirect_uri: redirect_uri.to_owned(),
        ..served.register(name, all).await
    };
    RelyingParty::discover(registration).await.unwrap()
}

/// The claims of the ID token and those of userinfo, and by which algorithms ID token and access token are signed.
async fn learns(app: &RelyingParty, scope: &str, claims: &Value) -> (Value, Value, [Algorithm; 2]) {
    let claims = claims.to_string();
    let request = app.authorization_request(scope, &[("claims", &claims)]).unwrap();
    let redirect_uri = &app.registration().redirect_uri;
    let browser = Browser::new().unwrap();
    let callback = browser
        .sign_in(&request.url, redirect_uri, USERNAME, PASSWORD)
        .await
        .unwrap();
    let code = app.code(&request, &callback).unwrap();
    let tokens = app.redeem(&request, &code).await.unwrap().unwrap();
    let algorithms = [tokens.id_token.as_deref().unwrap(), &tokens.access_token]
        .map(|token| decode_header(token).unwrap().alg);
    let id_token = app.verify_id_token(&tokens, Some(&request.nonce)).await.unwrap();
    let sub = id_token["sub"].as_str().unwrap();
    let userinfo = app.userinfo(&tokens.access_token, sub).await.unwrap();
    (id_token, userinfo, algorithms)
}

/// Standard claims by scope and by name, signed as each app registered it; apps with pairwise subjects know the person by
/// another `sub` on each host, and by the same one every time.
#[tokio::test]
async fn apps_learn_what_they_may_and_as_they_registered_it() {
    let served = World::shared().serve(StoreKind::Sled).await;
    let world = World::shared();
    world
        .create_secret("countess-own-password", "Opaque", &[("password", PASSWORD)])
        .await;
    world
        .create_user_with(
            USERNAME,
            json!({
                "subject": "countess-of-lovelace",
                "email": "countess@example.org",
                "nickname": "Ada",
                "birthdate": "1815-12-10",
                "picture": "https://example.org/ada.png",
                "phoneNumber": "+44 20 7946 0000",
                "phoneNumberVerified": true,
                "address": { "streetAddress": "12 St James's Square", "locality": "London", "country": "GB" },
                "password": { "secretRef": { "name": "countess-own-password" } },
            }),
        )
        .await;
    let plain = app(
        &served,
        "plain",
        SHOP,
        json!({ "scopes": ["openid", "profile", "phone", "address"] }),
    )
    .await;
    let (id_token, userinfo, algorithms) = learns(
        &plain,
        "openid phone address",
        &json!({"id_token": {"nickname": null, "email": null}}),
    )
    .await;
    assert_eq!(algorithms, [Algorithm::RS256, Algorithm::ES256]);
    assert_eq!(id_token["sub"], "countess-of-lovelace");
    assert_eq!(
        (&id_token["nickname"], &id_token["email"]),
        (&json!("Ada"), &Value::Null)
    );
    assert_eq!(
        userinfo,
        json!({
            "sub": "countess-of-lovelace", "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
            "address": {"street_address": "12 St James's Square", "locality": "London", "country": "GB"},
        })
    );

    let modern = json!({
        "subjectType": "pairwise",
        "tokens": { "idTokenSignedResponseAlg": "EdDSA", "accessTokenSigningAlg": "PS256" },
    });
    let shop = app(&served, "shop", SHOP, modern.clone()).await;
    let bank = app(&served, "bank", BANK, modern).await;
    let wish = json!({"userinfo": {"birthdate": {"essential": true}, "picture": null}});
    let (id_token, userinfo, algorithms) = learns(&shop, "openid email", &wish).await;
    assert_eq!(algorithms, [Algorithm::EdDSA, Algorithm::PS256]);
    assert_eq!(
        (&userinfo["birthdate"], &userinfo["email"]),
        (&json!("1815-12-10"), &json!("countess@example.org"))
    );
    let at_shop = id_token["sub"].clone();
    let (id_token, ..) = learns(&bank, "openid", &json!({})).await;
    let at_bank = id_token["sub"].clone();
    assert!(at_shop != at_bank && at_shop != "countess-of-lovelace" && at_bank != "countess-of-lovelace");

    let (id_token, ..) = learns(&shop, "openid", &json!({})).await;
    assert_eq!(id_token["sub"], at_shop);
}
