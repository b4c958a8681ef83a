//! The answer to one request: the API server's, or one that was made up.

use futures::stream::{self, StreamExt};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::plan::{Asked, Fault, Refusal, Treatment};

/// What goes back.
pub(super) type Answer = UnsyncBoxBody<Bytes, Lost>;

/// Nothing goes back: the connection ends.
#[derive(Debug)]
pub(super) struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was cut")
    }
}

impl std::error::Error for Lost {}

/// Passes the request on, unless it is refused first.
pub(super) async fn answer(
    upstream: &Client,
    (mut head, body): (Parts, Bytes),
    treatment: &Treatment,
) -> Result<Response<Body>, Lost> {
    if let Fault::Refused(refusal) = treatment.fault {
        return refused(refusal);
    }
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    if let (Some(page), Some(target)) = (treatment.page, head.uri.path_and_query()) {
        head.uri = paged(target.as_str(), page).parse().map_err(|_| Lost)?;
    }
    let passed_on = Request::from_parts(head, Body::from(body));
    // An API server that is away looks like that from here too.
    let mut response = upstream.send(passed_on).await.map_err(|_| Lost)?;
    if let Fault::Lost(refusal) = treatment.fault {
        return refused(refusal);
    }
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

/// The same list in smaller pages.
fn paged(target: &str, page: u32) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("limit="))
        .collect();
    let limit = format!("limit={page}");
    pairs.push(&limit);
    format!("{path}?{}", pairs.join("&"))
}

fn refused(refusal: Refusal) -> Result<Response<Body>, Lost> {
    let mut response = Response::new(Body::from(status(refusal).into_bytes()));
    *response.status_mut() = refusal.status.try_into().map_err(|_| Lost)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn status(refusal: Refusal) -> String {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the fault proxy says so", "reason": refusal.reason, "code": refusal.status,
    })
    .to_string()
}

/// The body as it goes back: until its end, its fault, or the silence of its connection.
pub(super) fn stream(
    response: Response<Body>,
    asked: &Asked,
    fault: Fault,
    (silent, number): (watch::Receiver<u64>, u64),
) -> Response<Answer> {
    let (parts, body) = response.into_parts();
    let (after, last) = match fault {
        Fault::EndsAfter(after) => (Some(after), Ok(None)),
        Fault::CutAfter(after) => (Some(after), Err(Lost)),
        Fault::ExpiresAfter(after) if asked.is_watch() => {
            let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(Refusal::EXPIRED));
            (Some(after), Ok(Some(Bytes::from(event))))
        }
        _ => (None, Ok(None)),
    };
    let state = State {
        body,
        silence: Box::pin(super::silence(silent, number)),
        ends: after.map(|after| Instant::now() + after),
        last: Some(last),
    };
    let frames = stream::unfold(state, State::next).map(|data| data.map(Frame::data));
    Response::from_parts(parts, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

struct State {
    body: Body,
    silence: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    ends: Option<Instant>,
    /// What comes at `ends`; taken then.
    last: Option<Result<Option<Bytes>, Lost>>,
}

impl State {
    async fn next(mut self) -> Option<(Result<Bytes, Lost>, Self)> {
        self.last.as_ref()?;
        let ends = self.ends;
        let end = async move {
            match ends {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let data = tokio::select! {
            biased;
            () = &mut self.silence => std::future::pending().await,
            () = end => match self.last.take()? {
                Ok(last) => Ok(last?),
                Err(lost) => Err(lost),
            },
            frame = self.body.frame() => if let Ok(frame) = frame? {
                Ok(frame.into_data().unwrap_or_default())
            } else {
                self.last = None;
                Err(Lost)
            },
        };
        Some((data, self))
    }
}
