//! Passwords that people change and administrators reset, over crashes of the real program.

use claviger::crd::v1alpha1::OidcUser;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Browser, Page};
use testbed::poll;
use testbed::relying_party::{RelyingParty, Tokens};

use crate::harness::{HOME, PASSWORD, PATIENCE, REDIRECT_URI, SCOPE, Served, StoreKind, World, refused};

const NAME: &str = "sofia";
const OWN: &str = "her own good password";
const GIVEN: &str = "what the administrator gives";

async fn open(served: &Served, browser: &Browser, path: &str) -> Page {
    let url = served.claviger.url(path).parse().unwrap();
    browser.get(&url).await.unwrap()
}

/// Where a page's form leads, followed to a page.
async fn submit(browser: &Browser, page: &Page, form: &Form, button: &str) -> Page {
    let answer = browser.submit(page, form, Some(button)).await.unwrap();
    match browser.follow(answer, REDIRECT_URI).await.unwrap() {
        Arrival::Page(page) => page,
        Arrival::Callback(url) => panic!("an account led to {url}"),
    }
}

/// Whether a new browser gets to the account with this password.
async fn gets_in(served: &Served, password: &str) -> bool {
    let browser = Browser::new().unwrap();
    let page = open(served, &browser, "/account").await;
    let mut form = page.forms().into_iter().find(Form::asks_for_sign_in).unwrap();
    form.fill("username", NAME).unwrap();
    form.fill("password", password).unwrap();
    let page = submit(&browser, &page, &form, "sign-in").await;
    page.status.is_success() && page.text().contains("Where you are signed in")
}

async fn is_signed_in(served: &Served, browser: &Browser) -> bool {
    let page = open(served, browser, "/account").await;
    assert!(page.status.is_success(), "{}", page.text());
    !page.forms().iter().any(Form::asks_for_sign_in)
}

/// Signs in to an app, up to the tokens.
async fn tokens(app: &RelyingParty, browser: &Browser, password: &str) -> Tokens {
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let callback = browser
        .sign_in(&request.url, REDIRECT_URI, NAME, password)
        .await
        .unwrap();
    let code = app.code(&request, &callback).unwrap();
    app.redeem(&request, &code).await.unwrap().unwrap()
}

/// A refresh token works once, so this gives the next ones.
async fn refresh(app: &RelyingParty, tokens: &Tokens) -> Option<Tokens> {
    let answer = app
        .refresh(tokens.refresh_token.as_deref().unwrap())
        .await
        .unwrap();
    match answer {
        Ok(tokens) => Some(tokens),
        Err(refusal) => {
            assert_eq!(refused::<()>(Err(refusal)), "invalid_grant");
            None
        }
    }
}

/// A password that a person changed is the one that counts after kill -9, their other browser stays signed out, and this one
/// signed in; a Secret that an administrator changes while claviger is down is a reset, which signs out everybody, and so
/// it stays after another kill -9.
#[tokio::test]
async fn rule_38_changed_and_reset_passwords_survive_crashes() {
    let world = World::shared();
    world.create_user(NAME, PASSWORD).await;
    let mut served = world.serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    let (here, elsewhere) = (Browser::new().unwrap(), Browser::new().unwrap());
    let lost = tokens(&app, &elsewhere, PASSWORD).await;
    assert!(gets_in(&served, PASSWORD).await);
    let offline = tokens(&app, &here, PASSWORD).await;

    let page = open(&served, &here, "/account/password").await;
    let mut form = page.forms().remove(0);
    for (field, value) in [
        ("current_password", PASSWORD),
        ("new_password", OWN),
        ("repeated_password", OWN),
    ] {
        form.fill(field, value).unwrap();
    }
    let page = submit(&here, &page, &form, "change-password").await;
    assert!(
        page.text().contains("Your password is changed."),
        "{}",
        page.text()
    );

    served.claviger.kill9();
    served.claviger.restart().await.unwrap();
    assert!(is_signed_in(&served, &here).await);
    assert!(!is_signed_in(&served, &elsewhere).await);
    // Both hold `offline_access`, which ends with the old password.
    assert!(refresh(&app, &lost).await.is_none());
    assert!(refresh(&app, &offline).await.is_none());
    assert!(gets_in(&served, OWN).await);
    assert!(!gets_in(&served, PASSWORD).await);
    let held = tokens(&app, &here, OWN).await;

    served.claviger.kill9();
    let secrets: Api<Secret> = Api::namespaced(world.admin(), HOME);
    let change = Patch::Merge(json!({"stringData": {"password": GIVEN}}));
    let name = format!("{NAME}-own-password");
    secrets
        .patch(&name, &PatchParams::default(), &change)
        .await
        .unwrap();
    served.claviger.restart().await.unwrap();
    for round in ["after the change", "after another crash"] {
        assert!(gets_in(&served, GIVEN).await, "{round}");
        assert!(!gets_in(&served, OWN).await, "{round}");
        assert!(!is_signed_in(&served, &here).await, "{round}");
        assert!(refresh(&app, &held).await.is_none(), "{round}");
        served.claviger.kill9();
        served.claviger.restart().await.unwrap();
    }
}

/// A new value of the annotation resets a generated password while claviger runs; the old one is refused from then on, over a
/// crash too.
#[tokio::test]
async fn rule_38_an_annotation_resets_a_generated_password() {
    let world = World::shared();
    let name = "emmy";
    world
        .create_user_with(name, json!({"password": {"generate": true}}))
        .await;
    let mut served = world.serve(StoreKind::Sled).await;
    let secret = format!("{name}-password");
    let first = world.secret(HOME, &secret).await["password"].clone();
    let users: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
    let annotations = json!({"claviger.dev/reset-password": "once"});
    let reset = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    users.patch(name, &PatchParams::default(), &reset).await.unwrap();
    let second = poll::until("another password in the Secret", PATIENCE, async || {
        let now = world.secret(HOME, &secret).await["password"].clone();
        Ok((now != first).then_some(now))
    })
    .await
    .unwrap();
    let app = served.app("shop", json!({})).await;
    for _ in 0..2 {
        let request = app.authorization_request(SCOPE, &[]).unwrap();
        let sign_in = async |password: &str| {
            let browser = Browser::new().unwrap();
            browser.sign_in(&request.url, REDIRECT_URI, name, password).await
        };
        sign_in(&second).await.unwrap();
        assert!(sign_in(&first).await.is_err());
        served.claviger.kill9();
        served.claviger.restart().await.unwrap();
    }
}
