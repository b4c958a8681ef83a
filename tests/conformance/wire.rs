//! Requests that an app sends itself, and what is found in the answers.

use std::fmt::Debug;

use anyhow::{Context, Result};
use http::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::Value;

/// An HTTP client that trusts one authority, follows no redirect and keeps no cookie.
pub(crate) struct Http {
    client: Client,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Http {
    /// Trusts this authority in PEM.
    pub(crate) fn trusting(authority: &str) -> Result<Self> {
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(authority.as_bytes())?])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("failed to build an HTTP client")?;
        Ok(Self { client })
    }

    /// `GET`
    pub(crate) async fn get(&self, url: &str) -> Result<Reply> {
        send(self.client.get(url)).await
    }

    /// `GET` with an access token in the header.
    pub(crate) async fn get_with_token(&self, url: &str, token: &str) -> Result<Reply> {
        send(
            self.client
                .get(url)
                .header(AUTHORIZATION, format!("Bearer {token}")),
        )
        .await
    }

    /// `POST` of a form, with these headers.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Result<Reply> {
        let mut request = self.client.post(url).form(form);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }

    /// `GET` with these headers.
    pub(crate) async fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }
}

async fn send(request: RequestBuilder) -> Result<Reply> {
    let answer = request.send().await.context("failed to reach claviger")?;
    Ok(Reply {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: answer.text().await.context("failed to read an answer")?,
    })
}

impl Reply {
    /// A header that comes once.
    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .with_context(|| format!("the answer has no header {name}"))?;
        anyhow::ensure!(values.next().is_none(), "the header {name} comes twice");
        value
            .to_str()
            .with_context(|| format!("the header {name} is not text"))
    }

    /// The body, which has to be JSON by its header too.
    pub(crate) fn json(&self) -> Result<Value> {
        let media_type = self.header("content-type")?.split(';').next().unwrap_or_default();
        same("the media type", media_type, "application/json")?;
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }

    /// The body of a success.
    pub(crate) fn success(&self) -> Result<Value> {
        anyhow::ensure!(self.status == StatusCode::OK, "{}: {}", self.status, self.body);
        self.json()
    }

    /// That this is a refusal by the token endpoint (RFC 6749 section 5.2).
    pub(crate) fn refuses(&self, status: u16, error: &str) -> Result<()> {
        let body = self.json()?;
        same("the error", &body["error"], error)?;
        same("the status", self.status.as_u16(), status)?;
        has_no_tokens(&body)
    }
}

/// That a body gives nothing out.
pub(crate) fn has_no_tokens(body: &Value) -> Result<()> {
    for name in ["access_token", "id_token", "refresh_token"] {
        anyhow::ensure!(body.get(name).is_none(), "a refusal holds {name}");
    }
    Ok(())
}

/// That something is as it should be.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is a reference, a number or made for this"
)]
pub(crate) fn same<A: PartialEq<B> + Debug, B: Debug>(what: &str, found: A, wanted: B) -> Result<()> {
    anyhow::ensure!(found == wanted, "{what} is {found:?}, not {wanted:?}");
    Ok(())
}

/// A member that is text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("{name} is no text in {value}"))
}

/// A member that is a list of texts.
pub(crate) fn texts<'a>(value: &'a Value, name: &str) -> Result<Vec<&'a str>> {
    value[name]
        .as_array()
        .and_then(|values| values.iter().map(Value::as_str).collect())
        .with_context(|| format!("{name} is no list of texts in {value}"))
}

/// A member that is a whole number.
pub(crate) fn number(value: &Value, name: &str) -> Result<i64> {
    value[name]
        .as_i64()
        .with_context(|| format!("{name} is no whole number in {value}"))
}
