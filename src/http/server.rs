//! Serves a router on a TCP listener: HTTP/1.1 with the limits of [`super::limits`], under TLS or not, until told to stop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::write_timeout::WriteTimeout;
use super::limits::{
    BODY_TIMEOUT, BodyTimeout, HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, MAX_CONNECTIONS, WRITE_TIMEOUT,
};
use super::tls::Tls;

mod write_timeout;

/// More than every limit of the head, so that [`super::limits`] sees what is too large and names it; beyond it hyper
/// answers 431 by itself, as it does beyond 100 fields (its default, which needs no allocation).
const BUFFER: usize = 64 * 1024;
/// How long a peer may still send after its answer before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);
/// What browsers are told of a host whose TLS is ours, as the pages tell them.
const HSTS: &str = "max-age=31536000";

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most connections at once.
    pub connections: usize,
    /// Under TLS, the handshake must be complete by then.
    pub handshake: Duration,
    /// The head of a request must be complete by then; a connection that is idle this long is closed.
    pub head: Duration,
    /// The body of a request must be complete by then.
    pub body: Duration,
    /// A peer that takes nothing of its answer for this long is cut off.
    pub write: Duration,
    /// After the stop, requests that are being answered have this long.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            handshake: HANDSHAKE_TIMEOUT,
            head: HEAD_TIMEOUT,
            body: BODY_TIMEOUT,
            write: WRITE_TIMEOUT,
            drain: Duration::from_secs(20),
        }
    }
}

/// Accepts connections until `stop` is cancelled, then lets requests finish and returns.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, bounds: Bounds) {
    serve_over(listener, None, router, stop, bounds).await;
}

/// The same over TLS, if there is any.
pub async fn serve_over(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
    bounds: Bounds,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection {
                    peer,
                    tls: tls.clone(),
                    router: router.clone(),
                    stop: stop.clone(),
                    bounds,
                    // Never closed, so there is always one.
                    _place: place.ok(),
                };
                connections.spawn(connection.serve(stream));
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: going on at once would spin until one is free.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain, drained).await.is_err() {
        tracing::warn!("requests were still being answered at the end of the drain time");
    }
    connections.shutdown().await;
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

struct Connection {
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
    bounds: Bounds,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        // Responses are small and complete: waiting to fill a packet only adds delay.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "failed to set TCP_NODELAY");
        }
        match self.tls.clone() {
            // Under TLS too it is the socket that must take what is sent.
            None => {
                let stream = WriteTimeout::new(stream, self.bounds.write);
                self.exchange(stream).await;
            }
            Some(tls) => {
                let handshake = tokio::time::timeout(self.bounds.handshake, self.shake_hands(&tls, stream));
                let stream = tokio::select! {
                    stream = handshake => stream,
                    () = self.stop.cancelled() => return,
                };
                if let Ok(Some(stream)) = stream {
                    self.exchange(stream).await;
                }
            }
        }
    }

    /// Nothing where the peer does not get that far; why is of no interest but to whoever debugs it.
    async fn shake_hands(&self, tls: &Tls, stream: TcpStream) -> Option<TlsStream<WriteTimeout>> {
        let mut first = [0];
        // Plain HTTP begins with the capital letter of a method, TLS with 0x16.
        if stream.peek(&mut first).await.is_ok_and(|read| read == 1) && first[0].is_ascii_uppercase() {
            const PLAIN: &[u8] =
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
                content-length: 26\r\n\r\nthis port speaks https only";
            end(stream, Some(PLAIN)).await;
            return None;
        }
        let stream = WriteTimeout::new(stream, self.bounds.write);
        match tls.acceptor().accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    }

    async fn exchange(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            peer,
            tls,
            router,
            stop,
            bounds,
            _place,
        } = self;
        let guarded = tls.is_some();
        let service = service_fn(move |request: Request<Incoming>| {
            answer(router.clone(), request, peer, bounds.body, guarded)
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);

        let mut stopping = false;
        let result = loop {
            tokio::select! {
                result = poll_fn(|context| connection.poll_without_shutdown(context)) => break result,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        let slow_head = result.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty();
        end(parts.io.into_inner(), slow_head.then_some(TIMEOUT)).await;
    }
}

/// hyper only hangs up on a head that does not end.
const TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Boxed, since hyper gives the stream back (for the 408) only where the future can be moved.
fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    body: Duration,
    guarded: bool,
) -> Answering {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(BodyTimeout(body));
    Box::pin(async move {
        let mut response = router.oneshot(request).await?;
        if guarded {
            // RFC 6797 section 7.1: on every response over TLS, which is ours here.
            let headers = response.headers_mut();
            headers
                .entry(STRICT_TRANSPORT_SECURITY)
                .or_insert(HeaderValue::from_static(HSTS));
        }
        Ok(response)
    })
}

/// Closes a connection so that the peer can read the last answer: a socket that is closed with unread input is reset, and
/// a reset throws away what the peer has not read.
async fn end(mut stream: impl AsyncRead + AsyncWrite + Unpin, last: Option<&[u8]>) {
    let ending = async {
        if let Some(last) = last {
            stream.write_all(last).await?;
        }
        stream.shutdown().await?;
        let mut discarded = [0; 4096];
        while stream.read(&mut discarded).await? > 0 {}
        io::Result::Ok(())
    };
    // An error here is a peer that is gone already.
    drop(tokio::time::timeout(LINGER, ending).await);
}
