//! Flags and environment into checked types. Nothing else reads the environment.
//!
//! Each value is parsed where clap parses it, so that a bad one ends the start with the flag's name and what to write
//! instead. Secrets never come by flag.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::address_range::AddressRange;
use crate::crd::v1alpha1::DurationText;
use crate::http::rate_limit::{Limit, RateLimits};
use crate::keyring::rotation::SHORTEST_INTERVAL;
use crate::oidc::issuer::Issuer;
use crate::telemetry::LogFormat;
#[cfg(feature = "otlp")]
use crate::telemetry::traces::Endpoint;

/// The settings of `claviger serve`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ServeSettings {
    /// The issuer, exactly as apps will compare it: https, or plain http on loopback; a path is allowed
    #[arg(long, env = "CLAVIGER_ISSUER", value_parser = Issuer::parse)]
    pub issuer: Issuer,

    /// Address of the public port: sign-in, tokens, discovery
    #[arg(long, env = "CLAVIGER_LISTEN", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    /// Address of the second port: /livez and /readyz
    #[arg(long, env = "CLAVIGER_ADMIN_LISTEN", default_value = "127.0.0.1:9090", value_parser = address)]
    pub admin_listen: SocketAddr,

    /// The certificate chain in PEM for TLS on the public port, taken again when the file changes; without it the port
    /// speaks plain http, for a proxy that ends TLS
    #[arg(long, env = "CLAVIGER_TLS_CERT", requires = "tls_key", value_name = "PATH")]
    pub tls_cert: Option<PathBuf>,

    /// The private key in PEM that belongs to --tls-cert
    #[arg(long, env = "CLAVIGER_TLS_KEY", requires = "tls_cert", value_name = "PATH")]
    pub tls_key: Option<PathBuf>,

    /// Where clients, sessions and grants are kept: `memory:` (forgets at the end) or `sled:PATH`
    #[arg(long, env = "CLAVIGER_STORE", default_value = "sled:claviger-store", value_parser = StoreLocation::from_str)]
    pub store: StoreLocation,

    /// Where the store is damaged, move what is there aside, into a folder `damaged-TIME` of the store's, and begin an
    /// empty one: clients and users are registered again from the cluster, and everybody signs in again. Without damage
    /// this does nothing
    #[arg(long, env = "CLAVIGER_RECOVER_STORE")]
    pub recover_store: bool,

    /// The Unix socket for `claviger keys`, `doctor` and `export-subjects`, open to the user who runs claviger alone;
    /// default: the store's path with `.sock` after it, and none with `memory:`
    #[arg(long, env = "CLAVIGER_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,

    /// Where the keyring is kept: `secret:[NAMESPACE/]NAME` or `dir:PATH`
    #[arg(
        long,
        env = "CLAVIGER_KEYRING",
        default_value = "secret:claviger-keyring",
        value_parser = KeyringLocation::from_str
    )]
    pub keyring: KeyringLocation,

    /// How long a signing key signs, like `90d`; its successor is published a day before it takes over
    #[arg(long, env = "CLAVIGER_SIGNING_KEY_ROTATION", default_value = "90d", value_parser = rotation_interval)]
    pub signing_key_rotation: Duration,

    /// claviger's own namespace, where `OidcUser` resources are honoured
    #[arg(long, env = "CLAVIGER_NAMESPACE", default_value = "claviger", value_parser = namespace)]
    pub namespace: String,

    /// Namespaces whose `OidcClient` resources are honoured, separated by commas; all when empty
    #[arg(long, env = "CLAVIGER_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,

    /// Addresses of the proxies in front, as ranges like 10.42.7.0/28 separated by commas: what they append to
    /// X-Forwarded-For tells clients apart; without them whoever connects is the client
    #[arg(long, env = "CLAVIGER_TRUSTED_PROXIES", value_delimiter = ',', value_parser = AddressRange::from_str)]
    pub trusted_proxies: Vec<AddressRange>,

    /// Addresses that are not public and that claviger may post logout tokens to all the same, as ranges like 10.96.0.0/12
    /// separated by commas: where `spec.backchannelLogoutUri` of an app inside the cluster leads, the range of the Services.
    /// Owners of clients choose those URIs, so whatever answers there is within their reach
    #[arg(long, env = "CLAVIGER_ALLOW_EGRESS", value_delimiter = ',', value_parser = AddressRange::from_str)]
    pub allow_egress: Vec<AddressRange>,

    /// CA certificates in PEM that are trusted beside those of the system where claviger posts logout tokens; taken again
    /// when the file changes
    #[arg(long, env = "CLAVIGER_EXTRA_CA", value_name = "PATH")]
    pub extra_ca: Option<PathBuf>,

    /// Each Secret of claviger's is written again once in this time, so that one that was changed or deleted is put right;
    /// stretched to two requests a second where there are many; `0s` turns it off
    #[arg(long, env = "CLAVIGER_HEAL_INTERVAL", default_value = "5m", value_parser = duration)]
    pub heal_interval: Duration,

    /// `OidcClient`s may choose their `spec.clientId`; otherwise it is the namespace and the name with a dot between
    #[arg(long, env = "CLAVIGER_ALLOW_OWN_CLIENT_IDS")]
    pub allow_own_client_ids: bool,

    /// `OidcClient`s may set `spec.consent: Skip`, so that nobody is asked whether the app may have their data
    #[arg(long, env = "CLAVIGER_ALLOW_CONSENT_SKIP")]
    pub allow_consent_skip: bool,

    /// How long a watch of the Kubernetes API lasts before it is begun anew, from `5s` to `290s`; where the connection was
    /// silently dropped this is how long that goes unnoticed
    #[arg(long, env = "CLAVIGER_WATCH_TIMEOUT", default_value = "290s", value_parser = watch_timeout)]
    pub watch_timeout: Duration,

    /// Believe the first list of the API server although this many resources of a kind, or fewer, are missing from it: for
    /// one start, after a message that so many removals are held
    #[arg(
        long,
        env = "CLAVIGER_ACCEPT_REMOVALS",
        default_value_t = 0,
        value_name = "COUNT",
        hide_default_value = true
    )]
    pub accept_removals: usize,

    /// Start although the admission policy that pins claviger to its own Secrets is not in force (unsafe: without it the
    /// account could overwrite any Secret whose name it guesses)
    #[arg(long, env = "CLAVIGER_WITHOUT_SECRET_POLICY")]
    pub without_secret_policy: bool,

    #[expect(
        missing_docs,
        reason = "clap would show it as the help of the flattened flags"
    )]
    #[command(flatten)]
    pub rate_limits: RateLimitSettings,

    #[expect(
        missing_docs,
        reason = "clap would show it as the help of the flattened flags"
    )]
    #[command(flatten)]
    pub logs: LogSettings,
}

/// Where the subcommands that ask the serving process find it.
#[derive(Debug, Clone, Args)]
pub struct AdminSocketSettings {
    /// The Unix socket of the serving claviger; default: `claviger-store.sock` in this directory, where a `claviger serve`
    /// with the default store has it, or else `/run/claviger/admin.sock`, where the chart's has it
    #[arg(long, env = "CLAVIGER_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
}

impl AdminSocketSettings {
    /// Where to look.
    pub fn path(&self) -> PathBuf {
        const USUAL: [&str; 2] = ["claviger-store.sock", "/run/claviger/admin.sock"];
        let usual = || {
            let found = USUAL.into_iter().find(|path| std::path::Path::new(path).exists());
            found.unwrap_or(USUAL[0]).into()
        };
        self.admin_socket.clone().unwrap_or_else(usual)
    }
}

/// How often one network, or one client, is answered.
#[derive(Debug, Clone, Copy, Args)]
pub struct RateLimitSettings {
    /// Authorization requests of one client address: `20/s:200` means 20 a second and 200 at once; `off` for no limit
    #[arg(long, env = "CLAVIGER_RATE_LIMIT_AUTHORIZE", default_value_t = RateLimits::default().authorize)]
    pub rate_limit_authorize: Limit,

    /// Forms with a password of one client address
    #[arg(long, env = "CLAVIGER_RATE_LIMIT_LOGIN", default_value_t = RateLimits::default().login)]
    pub rate_limit_login: Limit,

    /// Token requests, revocations, introspections, pushed requests and devices of one client address for which no client authenticates
    #[arg(long, env = "CLAVIGER_RATE_LIMIT_TOKEN", default_value_t = RateLimits::default().token)]
    pub rate_limit_token: Limit,

    /// Token requests, revocations, pushed requests and devices of one client that has authenticated
    #[arg(long, env = "CLAVIGER_RATE_LIMIT_CLIENT", default_value_t = RateLimits::default().client)]
    pub rate_limit_client: Limit,

    /// Introspections of one client that has authenticated
    #[arg(long, env = "CLAVIGER_RATE_LIMIT_INTROSPECTION", default_value_t = RateLimits::default().introspection)]
    pub rate_limit_introspection: Limit,
}

impl RateLimitSettings {
    /// As the adapter takes them.
    pub fn limits(&self) -> RateLimits {
        RateLimits {
            authorize: self.rate_limit_authorize,
            login: self.rate_limit_login,
            token: self.rate_limit_token,
            client: self.rate_limit_client,
            introspection: self.rate_limit_introspection,
        }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// How a log line looks
    #[arg(long, env = "CLAVIGER_LOG_FORMAT", value_enum, default_value_t = LogFormatSetting::Json)]
    pub log_format: LogFormatSetting,

    /// Base URL of a collector of OpenTelemetry that traces are sent to, like `http://otel-collector.monitoring:4318`
    #[cfg(feature = "otlp")]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = Endpoint::parse)]
    pub otlp_endpoint: Option<Endpoint>,

    /// What is logged: a level, or directives like `info,claviger=debug`
    #[arg(long, env = "CLAVIGER_LOG", default_value = "info", value_parser = log_filter)]
    pub log: String,
}

/// The values of `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatSetting {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

impl From<LogFormatSetting> for LogFormat {
    fn from(setting: LogFormatSetting) -> Self {
        match setting {
            LogFormatSetting::Json => Self::Json,
            LogFormatSetting::Text => Self::Text,
        }
    }
}

/// The value of `--store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In memory.
    Memory,
    /// A folder of the embedded database.
    Sled(PathBuf),
}

impl FromStr for StoreLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sled", path)) if !path.is_empty() => Ok(Self::Sled(path.into())),
            _ => Err("write `memory:` or `sled:PATH`".to_owned()),
        }
    }
}

/// The value of `--keyring`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringLocation {
    /// A Secret; in claviger's own namespace unless another is named.
    Secret {
        /// The namespace, if named.
        namespace: Option<String>,
        /// The Secret's name.
        name: String,
    },
    /// A directory.
    Directory(PathBuf),
}

impl FromStr for KeyringLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const USAGE: &str = "write `secret:NAME`, `secret:NAMESPACE/NAME` or `dir:PATH`";
        match text.split_once(':') {
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            Some(("secret", name)) => {
                let (namespace, name) = match name.split_once('/') {
                    Some((namespace, name)) => (Some(self::namespace(namespace)?), name),
                    None => (None, name),
                };
                if !is_dns_subdomain(name) {
                    return Err(format!("`{name}` is no name of a Secret; {USAGE}"));
                }
                Ok(Self::Secret {
                    namespace,
                    name: name.to_owned(),
                })
            }
            _ => Err(USAGE.to_owned()),
        }
    }
}

impl StoreLocation {
    /// Where the administration socket is unless a flag says otherwise.
    pub fn default_admin_socket(&self) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Sled(path) => {
                let mut socket = path.clone().into_os_string();
                socket.push(".sock");
                Some(socket.into())
            }
        }
    }
}

/// The address of the API server's Service, as the kubelet tells it to each pod. Some clusters put a host name there instead,
/// which says nothing about Services.
pub fn api_server_address() -> Option<IpAddr> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
    let address = host.parse().ok();
    if address.is_none() {
        tracing::info!(
            host,
            "KUBERNETES_SERVICE_HOST is no address, so the addresses of Services are not known: what --allow-egress allows may \
             hold the API server's, and Services with public addresses are not refused"
        );
    }
    address
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an address and a port like 127.0.0.1:8080 or [::]:8080".to_owned())
}

fn rotation_interval(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 3_650);
    match DurationText::new(text).parse() {
        Some(interval) if (SHORTEST_INTERVAL..=LONGEST).contains(&interval) => Ok(interval),
        _ => Err("write a time between `2d` and `3650d`, like `90d`".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    DurationText::new(text)
        .parse()
        .ok_or_else(|| "write a number with a unit, like 90s, 10m, 2h or 14d".to_owned())
}

fn watch_timeout(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_secs(5)..=Duration::from_secs(290);
    DurationText::new(text)
        .parse()
        .filter(|duration| bounds.contains(duration))
        .ok_or_else(|| "write a time between 5s and 290s".to_owned())
}

fn namespace(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no name of a namespace: lower-case letters, digits and hyphens, at most 63"
        ))
    }
}

/// An RFC 1123 label, as Kubernetes names namespaces.
fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

/// An RFC 1123 subdomain, as Kubernetes names Secrets.
fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

fn log_filter(text: &str) -> Result<String, String> {
    crate::telemetry::check_filter(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_locations() {
        for (text, expected) in [
            ("memory:", Some(StoreLocation::Memory)),
            ("sled:/var/lib/x", Some(StoreLocation::Sled("/var/lib/x".into()))),
            ("sled:", None),
            ("memory", None),
            ("memory:x", None),
            ("postgres://x", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn keyring_locations() {
        let secret = |namespace: Option<&str>, name: &str| {
            Some(KeyringLocation::Secret {
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            })
        };
        for (text, expected) in [
            ("secret:keys", secret(None, "keys")),
            ("secret:a/keys.b", secret(Some("a"), "keys.b")),
            ("secret:A/keys", None),
            ("secret:a/b/c", None),
            ("secret:", None),
            ("dir:/keys", Some(KeyringLocation::Directory("/keys".into()))),
            ("dir:", None),
            ("keys", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn watches_last_neither_a_moment_nor_longer_than_the_api_server_lets_them() {
        for (text, valid) in [
            ("290s", true),
            ("4m", true),
            ("5s", true),
            ("4s", false),
            ("5m", false),
            ("0s", false),
            ("290", false),
        ] {
            assert_eq!(watch_timeout(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn namespaces_are_dns_labels() {
        for (text, valid) in [
            ("a", true),
            ("a-1", true),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("", false),
            ("a.b", false),
        ] {
            assert_eq!(namespace(text).is_ok(), valid, "{text}");
        }
    }
}
