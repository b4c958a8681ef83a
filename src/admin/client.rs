//! The asking end of the socket, for the subcommands.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use super::report::{
    DoctorReport, ErrorReport, KeysReport, MasterKeyReport, RotateKeys, RotateRequest, SubjectsReport,
};
use super::server::{DOCTOR, KEYS, ROTATE, SUBJECTS};

/// Longer than the serving process takes for anything.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Larger than any answer: a line for each of a hundred thousand people.
const LARGEST: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AdminClientError {
    /// There is no such file.
    #[error(
        "no socket at {path}: claviger serve does not run here, or listens elsewhere; name its socket with --admin-socket, \
         in a cluster run this command by `kubectl exec` in claviger's pod"
    )]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// Nobody listens.
    #[error("nobody listens at {path}: the claviger serve that made it has ended; start it again")]
    NotRunning {
        /// Where.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("no permission to open {path}: run this command as the user who runs claviger serve")]
    Permission {
        /// Where.
        path: PathBuf,
    },
    /// The conversation broke off.
    #[error("failed to talk to claviger at {path}: {reason}")]
    Broken {
        /// Where.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// It answered no.
    #[error("{0}")]
    Refused(String),
}

impl AdminClientError {
    /// Whether nobody was reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NoSocket { .. } | Self::NotRunning { .. } | Self::Permission { .. }
        )
    }
}

/// Asks the process behind a socket.
pub struct AdminClient<'a> {
    path: &'a Path,
}

impl<'a> AdminClient<'a> {
    /// Will ask at `path`.
    pub fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The keys.
    pub async fn keys(&self) -> Result<KeysReport, AdminClientError> {
        self.ask(Method::GET, KEYS, Vec::new()).await
    }

    /// Begins a rotation of the signing keys.
    pub async fn rotate_signing_keys(&self) -> Result<KeysReport, AdminClientError> {
        self.rotate(RotateKeys::Signing).await
    }

    /// Adds a master key.
    pub async fn rotate_master_key(&self) -> Result<MasterKeyReport, AdminClientError> {
        self.rotate(RotateKeys::Master).await
    }

    /// What a look at the installation finds.
    pub async fn doctor(&self) -> Result<DoctorReport, AdminClientError> {
        self.ask(Method::GET, DOCTOR, Vec::new()).await
    }

    /// Subjects that no spec pins yet.
    pub async fn subjects(&self) -> Result<SubjectsReport, AdminClientError> {
        self.ask(Method::GET, SUBJECTS, Vec::new()).await
    }

    async fn rotate<T: DeserializeOwned>(&self, keys: RotateKeys) -> Result<T, AdminClientError> {
        let body = serde_json::to_vec(&RotateRequest { keys }).map_err(|error| self.broken(&error))?;
        self.ask(Method::POST, ROTATE, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, AdminClientError> {
        let stream = UnixStream::connect(self.path)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (status, body) = tokio::time::timeout(TIMEOUT, self.converse(stream, method, path, body))
            .await
            .map_err(|_| self.broken(&"it does not answer; look at its log"))??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.broken(&error));
        }
        Err(match serde_json::from_slice(&body) {
            Ok(ErrorReport { error }) => AdminClientError::Refused(error),
            Err(_) => self.broken(&status),
        })
    }

    async fn converse(
        &self,
        stream: UnixStream,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(http::StatusCode, Bytes), AdminClientError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "claviger")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(&error))?;
        let exchange = async move {
            let response: Response<Incoming> = sender
                .send_request(request)
                .await
                .map_err(|error| self.broken(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(|error| self.broken(&error))?.to_bytes()))
        };
        // How the connection ended shows in the exchange.
        let (outcome, _ended) = tokio::join!(exchange, connection);
        outcome
    }

    fn unreachable(&self, error: &io::Error) -> AdminClientError {
        let path = self.path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => AdminClientError::NoSocket { path },
            io::ErrorKind::ConnectionRefused => AdminClientError::NotRunning { path },
            io::ErrorKind::PermissionDenied => AdminClientError::Permission { path },
            _ => self.broken(error),
        }
    }

    fn broken(&self, reason: &dyn std::fmt::Display) -> AdminClientError {
        AdminClientError::Broken {
            path: self.path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
