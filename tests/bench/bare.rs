//! The yardstick: axum and aws-lc-rs and nothing else. It reads the form, signs an RS256 and an ES256 token of the same
//! claims with keys that are parsed once, and answers JSON. No client, no store, no rotation, no rules.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use testbed::process::Process;
use testbed::{poll, ports};

/// The argument that makes the benchmark program this server.
pub(crate) const MODE: &str = "bare-server";

/// The running server.
pub(crate) struct Bare {
    process: Process,
    url: String,
    _folder: tempfile::TempDir,
}

impl Bare {
    pub(crate) async fn start() -> Result<Self> {
        let address = format!("127.0.0.1:{}", ports::free()?);
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(MODE).arg(&address);
        let process = Process::spawn("bare", command, &folder.path().join("bare.log"))?;
        let url = format!("http://{address}/token");
        let bare = Self {
            process,
            url,
            _folder: folder,
        };
        poll::until("the bare server", Duration::from_secs(20), async || {
            let http = reqwest::Client::builder().no_proxy().build()?;
            Ok(http
                .post(&bare.url)
                .body("grant_type=x")
                .send()
                .await
                .is_ok()
                .then_some(()))
        })
        .await?;
        Ok(bare)
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Asks for tokens for [`super::LOADED`], as a chain of refreshes does.
    pub(crate) async fn ask_for(&self) -> Result<u64> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let began = Instant::now();
        let mut count = 0;
        let token = "clv_rt_".to_owned() + &"x".repeat(43);
        while began.elapsed() < super::LOADED {
            let answer = http
                .post(&self.url)
                .basic_auth("team-a.bench", Some("clv_secret"))
                .form(&[("grant_type", "refresh_token"), ("refresh_token", &token)])
                .send()
                .await?;
            let body: serde_json::Value = answer.json().await?;
            anyhow::ensure!(body["id_token"].is_string(), "no ID token: {body}");
            count += 1;
        }
        Ok(count)
    }
}

struct Keys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: aws_lc_rs::rand::SystemRandom,
}

/// Serves until it is killed.
pub(crate) fn serve(address: &str) -> Result<()> {
    let pkcs8 = PrivateDecryptingKey::generate(KeySize::Rsa2048).context("RSA")?;
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pkcs8).context("PKCS#8")?;
    let keys = Keys {
        rsa: RsaKeyPair::from_pkcs8(pkcs8.as_ref()).context("RSA")?,
        ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("EC")?,
        random: aws_lc_rs::rand::SystemRandom::new(),
    };
    anyhow::ensure!(!keys.rsa.public_key().as_ref().is_empty(), "no public key");
    let keys = Arc::new(keys);
    let router = Router::new().route(
        "/token",
        post(move |form: Bytes| {
            let keys = Arc::clone(&keys);
            async move { answer(&keys, &form) }
        }),
    );
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(address).await?;
            axum::serve(listener, router).await.context("failed to serve")
        })
}

fn answer(keys: &Keys, form: &[u8]) -> String {
    let fields = url::form_urlencoded::parse(form).count() as u64;
    let id_token = json!({
        "iss": "http://127.0.0.1:8080", "sub": "0d4b3f6e-6f0f-4d6e-9a55-1f6c5b0a1c11", "aud": "team-a.bench",
        "exp": 1_800_003_600 + fields, "iat": 1_800_000_000, "groups": ["engineers"],
    });
    let access_token = json!({
        "iss": "http://127.0.0.1:8080", "sub": "0d4b3f6e-6f0f-4d6e-9a55-1f6c5b0a1c11", "aud": "http://127.0.0.1:8080",
        "exp": 1_800_000_600 + fields, "iat": 1_800_000_000, "jti": "0123456789abcdefghijkl.0123456789abcdefghijkl",
        "client_id": "team-a.bench", "scope": "email groups offline_access openid profile",
    });
    let id_token = compact(
        r#"{"alg":"RS256","kid":"0123456789abcdef","typ":"JWT"}"#,
        &id_token,
        |message| {
            let mut signature = vec![0; keys.rsa.public_modulus_len()];
            keys.rsa
                .sign(&RSA_PKCS1_SHA256, &keys.random, message, &mut signature)
                .expect("an RSA signature");
            signature
        },
    );
    let access_token = compact(
        r#"{"alg":"ES256","kid":"0123456789abcdef","typ":"at+jwt"}"#,
        &access_token,
        |message| {
            keys.ec
                .sign(&keys.random, message)
                .expect("an EC signature")
                .as_ref()
                .to_vec()
        },
    );
    json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 600, "id_token": id_token })
        .to_string()
}

fn compact(header: &str, claims: &serde_json::Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut text);
    let signature = sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}
