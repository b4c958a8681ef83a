//! Apps are told that a session ended, whatever happens to claviger meanwhile.

use std::net::SocketAddr;

use serde_json::json;
use testbed::browser::Browser;
use testbed::certificates::Authority;
use testbed::folder::Folder;
use testbed::poll;
use testbed::ports;
use testbed::tls_receiver::{Answer, TlsReceiver};

use crate::attacks::Figures;
use crate::events::events;
use crate::harness::{PATIENCE, Served, StoreKind, World, tokens};
use crate::ledger::sign_out;

/// The person signs out while the app is away, and claviger is killed: the next process tells the app, once it is back, with a
/// token that the published keys verify. The app's CA and its address inside are the administrator's to allow.
#[tokio::test]
async fn rule_73_a_kill_loses_no_notice() {
    let authority = Authority::new().unwrap();
    let folder = Folder::new("back-channel").unwrap();
    let ca = folder.write("ca.crt", authority.pem()).unwrap();
    let mut served = World::shared()
        .serve_with(StoreKind::Sled, |options| {
            options.arguments.push("--allow-egress=127.0.0.0/8".to_owned());
            options.arguments.push(format!("--extra-ca={}", ca.display()));
        })
        .await;
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let uri = format!("https://{address}/backchannel-logout");
    let app = served
        .app(
            "told",
            json!({ "backchannelLogoutUri": uri, "backchannelLogoutSessionRequired": true }),
        )
        .await;
    let browser = Browser::new().unwrap();
    let signed_in = tokens(&app, &browser).await;
    let id_token = app.verify_id_token(&signed_in, None).await.unwrap();
    assert!(sign_out(&app, &browser).await);
    poll::until("the first attempt", PATIENCE, async || {
        Ok(served
            .claviger
            .log()
            .contains("logout_token_not_accepted")
            .then_some(()))
    })
    .await
    .unwrap();
    served.claviger.kill9();
    let pair = authority.issue(&["127.0.0.1"]).unwrap();
    let mut receiver = TlsReceiver::start_at(address, &pair, Answer::Status(200))
        .await
        .unwrap();
    served.claviger.restart().await.unwrap();
    let posted = receiver.next().await.unwrap();
    let token = posted.field("logout_token").unwrap();
    let claims = app.verify_logout_token(&token).await.unwrap();
    for claim in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[claim], id_token[claim], "{claim}");
    }
    poll::until("the app's answer to be noted", PATIENCE, async || {
        Ok(served
            .claviger
            .log()
            .contains("logout_token_accepted")
            .then_some(()))
    })
    .await
    .unwrap();
    assert!(receiver.waiting().is_none());
}

/// An app that refuses the token is given up at once. Its owner learns of that by an Event, which does not say what answered.
#[tokio::test]
async fn rule_85_an_app_that_cannot_be_told_is_an_event() {
    let world = World::shared();
    let authority = Authority::new().unwrap();
    let folder = Folder::new("back-channel").unwrap();
    let ca = folder.write("ca.crt", authority.pem()).unwrap();
    let served = world
        .serve_with(StoreKind::Memory, |options| {
            options.arguments.push("--allow-egress=127.0.0.0/8".to_owned());
            options.arguments.push(format!("--extra-ca={}", ca.display()));
        })
        .await;
    let pair = authority.issue(&["127.0.0.1"]).unwrap();
    let mut receiver = TlsReceiver::start(&pair, Answer::Status(400)).await.unwrap();
    let uri = format!("https://{}/backchannel-logout?marked", receiver.address());
    let app = served
        .app("refusing", json!({ "backchannelLogoutUri": uri }))
        .await;
    let browser = Browser::new().unwrap();
    tokens(&app, &browser).await;
    assert!(sign_out(&app, &browser).await);
    let event = poll::until("an Event", PATIENCE, async || {
        Ok(events(world, &served)
            .await
            .into_iter()
            .find(|event| event.reason.as_deref() == Some("BackchannelLogoutFailed")))
    })
    .await
    .unwrap();
    let regarding = event.regarding.unwrap();
    assert_eq!(regarding.kind.as_deref(), Some("OidcClient"));
    assert_eq!(regarding.name.as_deref(), Some("refusing"));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap();
    assert!(note.contains("--allow-egress"), "{note}");
    assert!(!note.contains("marked") && !note.contains("400"), "{note}");
    receiver.next().await.unwrap();
    assert!(receiver.waiting().is_none());
}

async fn until_so_many_wait(served: &Served, expected: u64) {
    poll::until("the notices that wait to be counted", PATIENCE, async || {
        let waiting = Figures::of(served).await.count("claviger_logout_notices_waiting");
        Ok((waiting == Some(expected)).then_some(()))
    })
    .await
    .unwrap();
}

/// What apps have not heard yet is a figure for whoever runs claviger.
#[tokio::test]
async fn what_waits_is_counted() {
    let served = World::shared().serve(StoreKind::Memory).await;
    // Loopback is not allowed here: the app can never be told, and the notice waits for another attempt.
    let app = served
        .app(
            "away",
            json!({ "backchannelLogoutUri": "https://127.0.0.1:9/logout" }),
        )
        .await;
    until_so_many_wait(&served, 0).await;
    let browser = Browser::new().unwrap();
    tokens(&app, &browser).await;
    assert!(sign_out(&app, &browser).await);
    until_so_many_wait(&served, 1).await;
}
