//! How much and how slow a request may be: through the router, and over TCP where the server itself decides.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use claviger::http::limits::BodyTimeout;
use claviger::http::server::{Bounds, serve};
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

const PATH: &str = "/api/token/v2";
const MAX_BODY: usize = 64 * 1024;
const MAX_HEAD: usize = 16 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

/// A body of more than 64 KiB is 413, whether its length is announced or not; one of exactly 64 KiB is read.
#[tokio::test]
async fn rule_80_a_large_body_is_413() {
    let app = TestApp::with_shop_and_ada().await;
    let body = |length: usize| "a".repeat(length);
    let post = || Request::post(PATH).header(CONTENT_TYPE, FORM);
    let chunked = |length: usize| {
        let chunks = body(length)
            .into_bytes()
            .chunks(1000)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>();
        Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
    };

    let announced = post()
        .header("content-length", MAX_BODY + 1)
        .body(Body::from(body(MAX_BODY + 1)));
    assert_eq!(
        app.send(announced.unwrap()).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let unannounced = post().body(chunked(MAX_BODY + 1));
    app.send(unannounced.unwrap())
        .await
        .assert_error(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request");
    for read in [
        post().body(Body::from(body(MAX_BODY))),
        post().body(chunked(MAX_BODY)),
    ] {
        app.send(read.unwrap())
            .await
            .assert_error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
}

/// More than 64 parameters, or bytes that are not UTF-8, are refused.
#[tokio::test]
async fn rule_80_a_form_has_at_most_64_fields() {
    let app = TestApp::with_shop_and_ada().await;
    for (body, status) in [
        ("a=1&".repeat(64), StatusCode::UNAUTHORIZED),
        ("a=1&".repeat(65), StatusCode::BAD_REQUEST),
        ("a=%FF".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let request = Request::post(PATH)
            .header(CONTENT_TYPE, FORM)
            .body(Body::from(body));
        assert_eq!(app.send(request.unwrap()).await.status, status);
    }
}

/// A target of more than 16 KiB is 414; headers of more than 16 KiB or more than 64 fields are 431.
#[tokio::test]
async fn rule_80_a_large_head_is_414_or_431() {
    let app = TestApp::with_shop_and_ada().await;
    let path = "/.well-known/jwks.json";
    let target = |length: usize| format!("{path}?{}", "a".repeat(length - path.len() - 1));
    assert_eq!(app.get(&target(MAX_HEAD)).await.status, StatusCode::OK);
    assert_eq!(
        app.get(&target(MAX_HEAD + 1)).await.status,
        StatusCode::URI_TOO_LONG
    );

    let padded = |length: usize| {
        let value = "a".repeat(length - "x-padding".len());
        Request::get(path)
            .header("x-padding", value)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(app.send(padded(MAX_HEAD)).await.status, StatusCode::OK);
    let response = app.send(padded(MAX_HEAD + 1)).await;
    assert_eq!(response.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);

    let fields = |count: usize| {
        let mut request = Request::get(path);
        for index in 0..count {
            request = request.header(format!("x-{index}"), "a");
        }
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(app.send(fields(64)).await.status, StatusCode::OK);
    let response = app.send(fields(65)).await;
    assert_eq!(response.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

/// A body that stops arriving is 408.
#[tokio::test]
async fn rule_80_a_slow_body_is_408() {
    let app = TestApp::with_shop_and_ada().await;
    let body = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post(PATH)
        .header(CONTENT_TYPE, FORM)
        .extension(BodyTimeout(Duration::from_millis(50)))
        .body(body);
    app.send(request.unwrap())
        .await
        .assert_error(StatusCode::REQUEST_TIMEOUT, "invalid_request");
}

/// The router behind the server of the product, on a free port of the loopback.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(bounds: Bounds) -> Self {
        Self::serve(TestApp::with_shop_and_ada().await.router, bounds).await
    }

    async fn serve(router: Router, bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, stop.clone(), bounds));
        Self { address, stop, task }
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Header lines.
fn fields(count: usize) -> String {
    (0..count).fold(String::new(), |lines, index| lines + &format!("x-{index}: a\r\n"))
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

/// The same limits over TCP, with broken framing besides: an answer with a status each time, and the process stays up.
#[tokio::test]
async fn rule_80_limits_hold_over_tcp() {
    let server = Server::start(Bounds::default()).await;
    let jwks = "GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert_status(&server.exchange(jwks.as_bytes()).await, 200);
    let long = "a".repeat(17 * 1024);
    let huge = "a".repeat(80 * 1024);
    let post = format!("POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: {FORM}\r\nconnection: close\r\n");
    let (fields, many_fields) = (fields(80), fields(200));
    for (request, status) in [
        (
            format!("GET /?{long} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
            414,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\nconnection: close\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {huge}\r\nconnection: close\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}connection: close\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\n{many_fields}connection: close\r\n\r\n"),
            431,
        ),
        (format!("{post}content-length: {}\r\n\r\n{huge}", huge.len()), 413),
        (
            format!("{post}transfer-encoding: chunked\r\n\r\n14000\r\n{huge}\r\n0\r\n\r\n"),
            413,
        ),
        (
            format!("{post}transfer-encoding: chunked\r\n\r\nnonsense\r\n"),
            400,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400),
    ] {
        assert_status(&server.exchange(request.as_bytes()).await, status);
    }
    assert_status(&server.exchange(jwks.as_bytes()).await, 200);
    server.end().await;
}

/// A head that does not become complete is 408; a connection that stays idle is closed without a word.
#[tokio::test]
async fn rule_80_a_slow_head_is_408() {
    let server = Server::start(Bounds {
        head: Duration::from_millis(50),
        ..Bounds::default()
    })
    .await;
    assert_status(&server.exchange(b"GET / HTTP/1.1\r\nhost:").await, 408);
    assert_eq!(server.exchange(b"").await, "");
    server.end().await;
}

/// After the stop no connection is accepted, idle ones are closed, and a request that is being sent is still answered.
#[tokio::test]
async fn a_stopped_server_finishes_what_it_began() {
    let server = Server::start(Bounds::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 16];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first[..12], b"HTTP/1.1 200");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-type: {FORM}\r\ncontent-length: 3\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.stop.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    drop(idle);
    busy.write_all(b"a=1").await.unwrap();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    assert_status(&String::from_utf8(answer).unwrap(), 401);
    drop(busy);
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

/// When every place is taken, a connection that waits for its peer makes way for the next one: one whose peer does not read
/// its answer, and one that is idle. One that is being answered does not.
#[tokio::test]
async fn rule_80_a_peer_that_reads_nothing_makes_way() {
    let bounds = Bounds {
        connections: 1,
        write: Duration::from_millis(50),
        ..Bounds::default()
    };
    // More than the buffers of both sockets take.
    let large = || async { vec![b'a'; 64 * 1024 * 1024] };
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let (entered, mut is_answered) = tokio::sync::mpsc::channel(1);
    let held = move || {
        let (mut gate, entered) = (gate.clone(), entered.clone());
        async move {
            entered.send(()).await.unwrap();
            gate.wait_for(|open| *open).await.unwrap();
            "held"
        }
    };
    let router = Router::new()
        .route("/large", get(large))
        .route("/small", get(|| async { "small" }))
        .route("/held", get(held));
    let server = Server::serve(router, bounds).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");

    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(request("/large").as_bytes()).await.unwrap();
    deaf.readable().await.unwrap();
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(request("/small").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = next.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_mins(1), read)
        .await
        .expect("the deaf peer is cut off")
        .unwrap();
    assert_status(&String::from_utf8(answer).unwrap(), 200);

    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut part = [0; 12];
    idle.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    idle.read_exact(&mut part).await.unwrap();
    assert_status(&server.exchange(request("/small").as_bytes()).await, 200);
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest).await);
    assert!(
        rest.ends_with(b"small"),
        "the idle one had its answer, and was closed"
    );

    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(request("/held").as_bytes()).await.unwrap();
    is_answered.recv().await.unwrap();
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(request("/small").as_bytes()).await.unwrap();
    let_go.send(true).unwrap();
    for (stream, expected) in [(&mut busy, "held"), (&mut next, "small")] {
        answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert_status(answer, 200);
        assert!(answer.ends_with(expected), "{answer}");
    }
    drop(deaf);
    server.end().await;
}
