//! What `/livez` and `/readyz` stand for.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::controller::Health;
use crate::http::health::{Check, Checks};

/// What the checks look at.
pub(super) struct Looks {
    pub(super) health: Health,
    pub(super) store_has_failed: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(super) shutdown: CancellationToken,
}

/// What both checks say of a store that has failed.
const STORE_FAILED: &str = "the store has failed";

/// The two checks. A store whose disk is full or does not answer refuses in time and ends neither: a new start would not
/// help it.
pub(super) fn checks(looks: Looks) -> Checks {
    let Looks {
        health,
        store_has_failed,
        shutdown,
    } = looks;
    let failed = Arc::clone(&store_has_failed);
    Checks {
        live: Check::new(move || {
            if failed() {
                Err(vec![STORE_FAILED.to_owned()])
            } else {
                Ok(())
            }
        }),
        ready: Check::new(move || {
            let mut waiting = Vec::new();
            if store_has_failed() {
                waiting.push(STORE_FAILED);
            }
            if shutdown.is_cancelled() {
                waiting.push("shutting down");
            }
            if !health.is_started() {
                waiting.extend(health.waiting());
            }
            if waiting.is_empty() {
                Ok(())
            } else {
                Err(waiting.into_iter().map(str::to_owned).collect())
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::http::health::router;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// A failed store ends both, an unfinished start and a shutdown end readiness alone, and what another server said is
    /// not repeated.
    #[tokio::test]
    async fn each_check_means_what_it_says() {
        let failed = Arc::new(AtomicBool::new(false));
        let looks = Looks {
            health: Health::default(),
            store_has_failed: Arc::new({
                let failed = Arc::clone(&failed);
                move || failed.load(Ordering::Relaxed)
            }),
            shutdown: CancellationToken::new(),
        };
        let (health, shutdown) = (looks.health.clone(), looks.shutdown.clone());
        let router = router(checks(looks));

        health.set_unreachable("keyring", "marked answer of another server".to_owned());
        let (status, text) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            r#"{"ready":false,"waiting":["keyring","first list of clients and users"]}"#
        );
        assert_eq!(ask(&router, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));

        health.set_reachable("keyring");
        health.set_started();
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
        // An API server that goes away later takes nobody out of a load balancer.
        health.set_unreachable("OidcClient", "marked".to_owned());
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);

        failed.store(true, Ordering::Relaxed);
        for (path, status) in [
            ("/livez", StatusCode::INTERNAL_SERVER_ERROR),
            ("/readyz", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let (answered, text) = ask(&router, path).await;
            assert_eq!(answered, status, "{path}");
            assert!(text.contains("the store has failed"), "{text}");
        }
        failed.store(false, Ordering::Relaxed);
        shutdown.cancel();
        assert!(ask(&router, "/readyz").await.1.contains("shutting down"));
        assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
    }
}
