//! Serves a router on a TCP listener: HTTP/1.1 with the limits of [`super::limits`], under TLS or not, until told to stop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::places::{Place, Places};
use self::write_timeout::WriteTimeout;
use super::client_address::TrustedProxies;
use super::limits::{
    BODY_TIMEOUT, BodyTimeout, HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, MAX_CONNECTIONS, MAX_CONNECTIONS_OF_NETWORK,
    WRITE_TIMEOUT,
};
use super::tls::Tls;

mod places;
mod write_timeout;

/// More than every limit of the head, so that [`super::limits`] sees what is too large and names it; beyond it hyper
/// answers 431 by itself, as it does beyond 100 fields (its default, which needs no allocation).
const BUFFER: usize = 64 * 1024;
/// How long a peer may still send after its answer before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);
/// What browsers are told of a host whose TLS is ours, as the pages tell them.
const HSTS: &str = "max-age=31536000";

/// The bounds of a server.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The most connections at once; beyond, those that wait longest make way.
    pub connections: usize,
    /// The most of them from one network, unless it is that of a trusted proxy.
    pub connections_of_network: usize,
    /// Who has the connections of many.
    pub proxies: TrustedProxies,
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
            connections_of_network: MAX_CONNECTIONS_OF_NETWORK,
            proxies: TrustedProxies::default(),
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
    let places = Places::new(bounds.connections, bounds.connections_of_network);
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let (stream, peer) = listener.accept().await?;
            let place = places.take(peer.ip(), bounds.proxies.contains(peer.ip())).await;
            Ok((stream, peer, place))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer, Some(place))) => {
                let connection = Connection {
                    peer,
                    tls: tls.clone(),
                    router: router.clone(),
                    stop: stop.clone(),
                    bounds: bounds.clone(),
                    place: Arc::new(place),
                };
                connections.spawn(connection.serve(stream));
            }
            Ok((_, peer, None)) => tracing::debug!(%peer, "closed a connection beyond those of its network"),
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
    place: Arc<Place>,
}

impl Connection {
    /// Ends at once when it must make way: there is nothing to say to a peer that says nothing.
    async fn serve(self, stream: TcpStream) {
        let place = Arc::clone(&self.place);
        tokio::select! {
            () = self.serve_to_the_end(stream) => {}
            () = place.must_make_way() => {}
        }
    }

    async fn serve_to_the_end(self, stream: TcpStream) {
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
            place,
        } = self;
        let guarded = tls.is_some();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(Arriving::new(body, Arc::clone(&place))));
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(BodyTimeout(bounds.body));
            answer(router.clone(), request, Arc::clone(&place), guarded)
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
fn answer(router: Router, request: Request<Body>, place: Arc<Place>, guarded: bool) -> Answering {
    Box::pin(async move {
        let mut response = router.oneshot(request).await?;
        place.waits();
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

/// A body that tells when it is complete: until then the connection waits for its peer.
struct Arriving {
    body: Incoming,
    place: Arc<Place>,
}

impl Arriving {
    fn new(body: Incoming, place: Arc<Place>) -> Self {
        if body.is_end_stream() {
            place.answers();
        }
        Self { body, place }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.place.answers();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
