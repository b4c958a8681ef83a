//! Serves a router on a TCP listener: HTTP/1.1 with the limits of [`super::limits`], until told to stop.

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
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::write_timeout::WriteTimeout;
use super::limits::{BODY_TIMEOUT, BodyTimeout, HEAD_TIMEOUT, MAX_CONNECTIONS, WRITE_TIMEOUT};

mod write_timeout;

/// More than every limit of the head, so that [`super::limits`] sees what is too large and names it; beyond it hyper
/// answers 431 by itself, as it does beyond 100 fields (its default, which needs no allocation).
const BUFFER: usize = 64 * 1024;
/// How long a peer may still send after its answer before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most connections at once.
    pub connections: usize,
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
            head: HEAD_TIMEOUT,
            body: BODY_TIMEOUT,
            write: WRITE_TIMEOUT,
            drain: Duration::from_secs(20),
        }
    }
}

/// Accepts connections until `stop` is cancelled, then lets requests finish and returns.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, bounds: Bounds) {
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
        let Self {
            peer,
            router,
            stop,
            bounds,
            _place,
        } = self;
        let service =
            service_fn(move |request: Request<Incoming>| answer(router.clone(), request, peer, bounds.body));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(WriteTimeout::new(stream, bounds.write)), service);

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
        end(parts.io.into_inner().into_inner(), slow_head).await;
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Boxed, since hyper gives the stream back (for the 408) only where the future can be moved.
fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr, body: Duration) -> Answering {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(BodyTimeout(body));
    Box::pin(router.oneshot(request))
}

/// Closes a connection so that the peer can read the last answer: a socket that is closed with unread input is reset, and
/// a reset throws away what the peer has not read.
async fn end(mut stream: TcpStream, slow_head: bool) {
    let ending = async {
        if slow_head {
            const TIMEOUT: &[u8] =
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(TIMEOUT).await?;
        }
        stream.shutdown().await?;
        let mut discarded = [0; 4096];
        while stream.read(&mut discarded).await? > 0 {}
        io::Result::Ok(())
    };
    // An error here is a peer that is gone already.
    drop(tokio::time::timeout(LINGER, ending).await);
}
