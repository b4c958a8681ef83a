//! Requests to an API server exactly as written, and its answers to the last byte.

use anyhow::{Context, Result};
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

/// A request; made with one of its functions, sent with [`Call::send`].
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

/// What the API server says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came.
    pub text: String,
}

impl Call {
    /// A request without a body.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: "application/json",
            headers: Vec::new(),
            body: None,
        }
    }

    /// `GET`
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST` of an object to a collection.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new("POST", path).body(body)
    }

    /// `PUT` of an object.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new("PUT", path).body(body)
    }

    /// `DELETE`
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// `PATCH` of a kind such as `merge-patch+json`, `apply-patch+yaml`.
    pub fn patch(path: impl Into<String>, content_type: &'static str, body: Value) -> Self {
        Self {
            content_type,
            ..Self::new("PATCH", path).body(body)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same request as a question what would happen.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str("dryRun=All");
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it with this client's token and gives the answer, whatever it is.
    pub async fn send(&self, client: &Client) -> Result<Answer> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header("Content-Type", self.content_type);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Body::from(body.into_bytes()))
            .with_context(|| format!("{self} is no request"))?;
        let response = client
            .send(request)
            .await
            .with_context(|| format!("failed to send {self}"))?;
        let status = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect()
            .await
            .with_context(|| format!("failed to read the answer to {self}"))?
            .to_bytes();
        Ok(Answer {
            status,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Answer {
    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The `message` of a `Status`, or nothing.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}
