//! The device authorization grant (RFC 8628): a device without a browser asks, and a person answers in the browser of
//! another.
//!
//! What the person has to do is the same interaction as for an app that sends them over: it ends at the device instead of at
//! a redirect URI. Whoever answers is always asked, even where consent is remembered or skipped: the code may come from
//! somebody else (section 5.4).

use std::time::Duration;

use super::answer::{Answer, Failure, refused};
use super::browser::Browser;
use super::client_request::{ClientRequest, Identified};
use super::fault::Fault;
use super::interaction::{BrowserError, Step};
use super::{DEVICE_CODE_LIFETIME, Provider};
use crate::clock::later;
use crate::login::throttle::{Admission, begin_user_code};
use crate::oidc::audit::TARGET;
use crate::oidc::authorization_request::WaitingDevice;
use crate::oidc::authorization_request::validate::validate_for_device;
use crate::oidc::client::Client;
use crate::oidc::discovery::VERIFICATION_PATH;
use crate::oidc::error::ErrorCode;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::oidc::user_code::UserCode;
use crate::store::records::{DeviceAnswer, DeviceCodeRecord};
use crate::store::throttle::ThrottleKind;

/// A device asks at most this often (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The parameter of the endpoint's own that may come once; `resource` may come more than once.
const PARAMETERS: [&str; 1] = ["scope"];
/// Another code is drawn so often where somebody has the one that was drawn: at most 10,000 of 25 thousand million are taken
/// for one client, so that this is never the last time.
const DRAWS: usize = 8;

/// What a device is told (RFC 8628 section 3.2). Holds secrets: no `Debug`.
pub struct DeviceAuthorization {
    /// `device_code`, which it redeems.
    pub device_code: OpaqueToken,
    /// `user_code`, which it shows.
    pub user_code: UserCode,
    /// Where a person types it.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: String,
    /// How long a person has for it.
    pub expires_in: Duration,
    /// How long it waits between two questions.
    pub interval: Duration,
}

/// What a user code that somebody typed came to.
pub enum UserCodeOutcome {
    /// A device has it, and the person goes on.
    GoesOn(Box<Step>),
    /// No device has it, or somebody has answered already.
    Unknown,
    /// Too many were wrong: the next one is looked at after this time, and this one was not.
    Wait(Duration),
}

/// How the interaction of a device ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEnd {
    /// It gets what it asked for.
    Allowed,
    /// The person said no.
    Denied,
    /// The person may not use the app.
    Refused,
}

impl Provider {
    /// Takes what a device asks for, and gives it its codes.
    pub async fn authorize_device(&self, request: ClientRequest<'_>) -> Answer<DeviceAuthorization> {
        match self.identify(&request, &PARAMETERS).await {
            Ok(Identified {
                client,
                origin_allowed,
            }) => Answer {
                result: self.begin_device(&client, &request).await,
                origin_allowed,
            },
            Err(failure) => Answer::to_no_origin(failure),
        }
    }

    async fn begin_device(
        &self,
        client: &Client,
        request: &ClientRequest<'_>,
    ) -> Result<DeviceAuthorization, Failure> {
        if !client.may_use(GrantType::DeviceCode) {
            return Err(refused(
                ErrorCode::UnauthorizedClient,
                format!(
                    "this client is not registered for the grant type {}",
                    GrantType::DeviceCode
                ),
            ));
        }
        let device_code = OpaqueToken::generate(TokenKind::DeviceCode, &*self.random);
        let waiting = WaitingDevice {
            code: device_code.hash(),
            user_code: None,
        };
        let mut record = DeviceCodeRecord {
            hash: device_code.hash(),
            user_code: device_code.hash(),
            request: validate_for_device(request.parameters, client, waiting)?,
            expires_at: later(self.clock.now(), DEVICE_CODE_LIFETIME),
            interval_seconds: INTERVAL.as_secs(),
            polled_at: None,
            answer: DeviceAnswer::Pending,
        };
        for _ in 0..DRAWS {
            let user_code = UserCode::generate(&*self.random);
            record.user_code = hash_of(&user_code);
            let begun = self
                .store
                .begin_device_authorization(record.clone())
                .await
                .map_err(Fault::store("store what a device asks for"))?;
            if begun {
                let verification_uri = self.issuer.endpoint(VERIFICATION_PATH);
                return Ok(DeviceAuthorization {
                    device_code,
                    verification_uri_complete: format!("{verification_uri}?user_code={}", user_code.shown()),
                    verification_uri,
                    user_code,
                    expires_in: DEVICE_CODE_LIFETIME,
                    interval: INTERVAL,
                });
            }
        }
        Err(refused(
            ErrorCode::TemporarilyUnavailable,
            "no user code is free; try again",
        ))
    }

    /// Takes what somebody typed as a user code. It counts in the throttle before it is looked up.
    pub async fn enter_user_code(
        &self,
        typed: &str,
        browser: &Browser,
    ) -> Result<UserCodeOutcome, BrowserError> {
        self.require_provisioned().await?;
        let person = self.session(browser).await?.map(|(_, user)| user.user.uid);
        let person = person.as_ref().map(ResourceUid::as_str);
        let admission = begin_user_code(browser.network, person, self.store.as_ref())
            .await
            .map_err(Fault::store("count a user code"))?;
        let counted = match admission {
            Admission::Counted(counted) => counted,
            Admission::Wait(kind, until) => {
                self.note_user_code("user_code_throttled", Some(kind), browser);
                let wait = until.duration_since(self.clock.now());
                return Ok(UserCodeOutcome::Wait(wait.try_into().unwrap_or_default()));
            }
        };
        let Some((device, user_code)) = self.device_of(typed).await? else {
            self.note_user_code("user_code_unknown", None, browser);
            return Ok(UserCodeOutcome::Unknown);
        };
        counted
            .succeeded(self.store.as_ref())
            .await
            .map_err(Fault::store("take a user code back from the throttle"))?;
        let mut request = device.request;
        request.device = Some(WaitingDevice {
            code: device.hash,
            user_code: Some(user_code.shown()),
        });
        Ok(UserCodeOutcome::GoesOn(Box::new(
            self.begin(browser, request).await?,
        )))
    }

    async fn device_of(&self, typed: &str) -> Result<Option<(DeviceCodeRecord, UserCode)>, Fault> {
        let Some(user_code) = UserCode::parse(typed) else {
            return Ok(None);
        };
        let found = self
            .store
            .device_authorization(&hash_of(&user_code))
            .await
            .map_err(Fault::store("look up a user code"))?;
        Ok(found.map(|device| (device, user_code)))
    }

    /// Never what was typed, which may be anything.
    fn note_user_code(&self, event: &'static str, bucket: Option<ThrottleKind>, browser: &Browser) {
        tracing::info!(
            target: TARGET,
            event,
            bucket = bucket.map(ThrottleKind::name),
            network_pseudonym = self.keyring.current().pseudonym(&browser.network.to_string()),
        );
    }
}

/// What the store keeps. A user code could be found from it by trying them all, and is good for nothing without somebody who
/// signs in and allows it.
fn hash_of(user_code: &UserCode) -> TokenHash {
    TokenHash::of(user_code.letters().as_bytes())
}
