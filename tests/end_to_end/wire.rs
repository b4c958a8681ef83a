//! Requests to the last byte over TCP, also such as no HTTP library would send, and many that arrive at one moment.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testbed::relying_party::RelyingParty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    /// All lines of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The one line of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let headers = self.headers(name);
        assert_eq!(headers.len(), 1, "{name}: {self:?}");
        headers[0]
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}

/// Sends bytes and gives the answer, or nothing where the server only closes the connection.
pub(crate) async fn try_send(port: u16, request: &[u8]) -> Option<Reply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    // A server that has heard enough may hang up before everything is sent.
    let _sent = stream.write_all(request).await;
    answer(stream).await
}

/// Sends a request and gives the answer.
pub(crate) async fn send(port: u16, request: &[u8]) -> Reply {
    try_send(port, request).await.expect("an answer")
}

/// Sends every request but its last byte, each over a connection of its own, and then all the last bytes: the requests
/// become complete at one moment.
pub(crate) async fn at_once(port: u16, requests: Vec<Vec<u8>>) -> Vec<Reply> {
    let mut waiting = Vec::new();
    for request in requests {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (last, most) = request.split_last().unwrap();
        stream.write_all(most).await.unwrap();
        waiting.push((stream, *last));
    }
    let mut answers = JoinSet::new();
    for (mut stream, last) in waiting {
        stream.write_all(&[last]).await.unwrap();
        answers.spawn(answer(stream));
    }
    answers
        .join_all()
        .await
        .into_iter()
        .map(|reply| reply.expect("an answer"))
        .collect()
}

async fn answer(mut stream: TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // A reset after the answer leaves what was read.
    let _read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server answers or closes");
    Reply::parse(&bytes)
}

/// A GET with further header lines.
pub(crate) fn get(port: u16, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", port, target, headers, "")
}

/// A form POST with further header lines.
pub(crate) fn post(port: u16, target: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Vec<u8> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    request("POST", port, target, &all, &body)
}

fn request(method: &str, port: u16, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        write!(text, "Host: 127.0.0.1:{port}\r\n").unwrap();
    }
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    if method == "POST" {
        write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A request of an app to the token endpoint, with its credentials in the header.
pub(crate) fn token(port: u16, app: &RelyingParty, form: &[(&str, &str)]) -> Vec<u8> {
    let authorization = basic(
        &app.registration().client_id,
        app.registration().client_secret.as_deref().unwrap(),
    );
    let headers = [("Authorization", authorization.as_str())];
    post(port, app.token_endpoint().path(), &headers, form)
}

/// `Authorization` with a client's credentials (RFC 6749 section 2.3.1).
pub(crate) fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret));
    format!("Basic {}", STANDARD.encode(pair))
}
