//! The second port.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use claviger::http::health::{Check, Checks, router};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn get(router: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

/// Ready means that nothing is waited for; otherwise the answer says what. The process lives either way.
#[tokio::test]
async fn readiness_says_what_is_waited_for() {
    let waiting = Arc::new(Mutex::new(vec!["the API server".to_owned()]));
    let asked = Arc::clone(&waiting);
    let router = router(Checks {
        live: Check::new(|| Ok(())),
        ready: Check::new(move || match asked.lock().unwrap().clone() {
            waiting if waiting.is_empty() => Ok(()),
            waiting => Err(waiting),
        }),
    });
    let readyz = async || {
        let (status, body) = get(&router, "/readyz").await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let not_ready = json!({"ready": false, "waiting": ["the API server"]});
    assert_eq!(readyz().await, (StatusCode::SERVICE_UNAVAILABLE, not_ready));
    assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);

    waiting.lock().unwrap().clear();
    assert_eq!(
        readyz().await,
        (StatusCode::OK, json!({"ready": true, "waiting": []}))
    );
}
