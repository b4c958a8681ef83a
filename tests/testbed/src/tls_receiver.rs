//! An app that takes what is posted to it over TLS, and answers as well or as badly as a test wants.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Pair;

/// How long a test waits for something to be posted.
const PATIENCE: Duration = Duration::from_mins(2);

/// How the app answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With a status and nothing else.
    Status(u16),
    /// By sending whoever asks elsewhere.
    Redirect(String),
    /// Not at all; the connection stays open.
    Never,
    /// With a body that has no end.
    EndlessBody,
    /// With headers that have no end.
    EndlessHead,
}

/// What was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Posted {
    /// The value of a header, in lower case by name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The one field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect();
        match fields.as_slice() {
            [(only, value)] if only == name => Some(value.clone()),
            _ => None,
        }
    }
}

/// The app. It ends when it is dropped.
pub struct TlsReceiver {
    address: SocketAddr,
    posted: UnboundedReceiver<Posted>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    written: AtomicU64,
    cut_off: AtomicUsize,
}

impl TlsReceiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(pair: &Pair, answer: Answer) -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), pair, answer).await
    }

    /// Listens there.
    pub async fn start_at(address: SocketAddr, pair: &Pair, answer: Answer) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?,
            )?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("unable to listen on {address}"))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let (sender, posted) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(accept(listener, acceptor, answer, sender, Arc::clone(&counts)));
        Ok(Self {
            address,
            posted,
            counts,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// What is posted next.
    pub async fn next(&mut self) -> Result<Posted> {
        tokio::time::timeout(PATIENCE, self.posted.recv())
            .await
            .context("waited for something to be posted")?
            .context("the app has ended")
    }

    /// What was posted and nobody asked for yet.
    pub fn waiting(&mut self) -> Option<Posted> {
        self.posted.try_recv().ok()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many endless answers were cut off.
    pub fn cut_off(&self) -> usize {
        self.counts.cut_off.load(Ordering::SeqCst)
    }

    /// How many bytes of endless answers were taken.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::SeqCst)
    }
}

impl Drop for TlsReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    answer: Answer,
    sender: UnboundedSender<Posted>,
    counts: Arc<Counts>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, answer, sender, counts) = (
            acceptor.clone(),
            answer.clone(),
            sender.clone(),
            Arc::clone(&counts),
        );
        // What goes wrong on a connection is the business of whoever made it.
        connections.spawn(async move { serve(stream, acceptor, answer, &sender, &counts).await.ok() });
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answer: Answer,
    sender: &UnboundedSender<Posted>,
    counts: &Counts,
) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let posted = read(&mut stream).await?;
    sender.send(posted)?;
    match answer {
        Answer::Status(status) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        Answer::Redirect(to) => {
            let head = format!("HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        Answer::Never => std::future::pending::<()>().await,
        Answer::EndlessBody => {
            stream
                .write_all(b"HTTP/1.1 200 x\r\ncontent-length: 1073741824\r\n\r\n")
                .await?;
            write_on(&mut stream, &[b'x'; 4096], counts).await;
        }
        Answer::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 x\r\n").await?;
            write_on(
                &mut stream,
                &[b"x: ".as_slice(), &[b'x'; 4000], b"\r\n"].concat(),
                counts,
            )
            .await;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// Writes 1 GiB, or until the other side has enough.
async fn write_on(stream: &mut TlsStream<TcpStream>, piece: &[u8], counts: &Counts) {
    while counts.written.load(Ordering::SeqCst) < 1 << 30 {
        if stream.write_all(piece).await.is_err() {
            counts.cut_off.fetch_add(1, Ordering::SeqCst);
            return;
        }
        counts.written.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
}

async fn read(stream: &mut TlsStream<TcpStream>) -> Result<Posted> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec())?;
            let posted = Posted {
                head,
                body: String::from_utf8(bytes[end + 4..].to_vec())?,
            };
            let length: usize = posted.header("content-length").unwrap_or("0").parse()?;
            if posted.body.len() >= length {
                return Ok(posted);
            }
        }
        let read = stream.read(&mut piece).await?;
        anyhow::ensure!(read > 0, "the request ended too early");
        bytes.extend_from_slice(&piece[..read]);
    }
}
