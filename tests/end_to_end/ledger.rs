//! Flows of people and apps, and a ledger of what each of them was told: every fact is noted before the next step, so that
//! after a kill at any moment it can be asked whether claviger has forgotten any.

use testbed::browser::{Arrival, Browser};
use testbed::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use testbed::scale;

use crate::harness::{PASSWORD, REDIRECT_URI, SCOPE, USERNAME, refused};

/// How a flow ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its refresh token is used twice, each time for the next.
    Refreshed,
    /// Its code is redeemed a second time, which revokes everything.
    Replayed,
    /// A spent refresh token is used again, which revokes everything.
    Reused,
}

impl Ending {
    /// Of the flow of this number.
    pub(crate) fn of(number: usize) -> Self {
        [Self::Refreshed, Self::Replayed, Self::Reused][number % 3]
    }
}

/// What was asked and was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Redemption,
    Refresh,
    Revocation,
}

/// What is known of a flow.
pub(crate) struct Flow {
    ending: Ending,
    request: AuthorizationRequest,
    /// The code that was issued.
    code: Option<String>,
    /// The answers of the token endpoint, the newest last.
    tokens: Vec<Tokens>,
    revoked: bool,
    asked: Asked,
    /// The number of facts that the checker has looked for.
    facts: usize,
}

/// Why a flow stopped.
pub(crate) enum Stop {
    /// It came to its end.
    Ended,
    /// claviger did not answer.
    Unanswered,
}

impl Flow {
    /// Nothing yet.
    pub(crate) fn new(app: &RelyingParty, ending: Ending) -> Self {
        Self {
            ending,
            request: app.authorization_request(SCOPE, &[]).unwrap(),
            code: None,
            tokens: Vec::new(),
            revoked: false,
            asked: Asked::Nothing,
            facts: 0,
        }
    }

    /// How many facts were acknowledged.
    pub(crate) fn facts(&self) -> usize {
        self.facts
    }

    /// Goes as far as claviger answers. An answer that is wrong fails.
    pub(crate) async fn run(&mut self, app: &RelyingParty, browser: &Browser) -> Stop {
        let Ok(callback) = browser
            .sign_in(&self.request.url, REDIRECT_URI, USERNAME, PASSWORD)
            .await
        else {
            return Stop::Unanswered;
        };
        let code = app.code(&self.request, &callback).unwrap();
        self.code = Some(code.clone());
        self.facts += 1;

        self.asked = Asked::Redemption;
        let Ok(answer) = app.redeem(&self.request, &code).await else {
            return Stop::Unanswered;
        };
        self.note(answer.unwrap());
        match self.ending {
            Ending::Refreshed => {
                if !self.refresh(app).await || !self.refresh(app).await {
                    return Stop::Unanswered;
                }
            }
            Ending::Replayed => {
                self.asked = Asked::Revocation;
                let Ok(answer) = app.redeem(&self.request, &code).await else {
                    return Stop::Unanswered;
                };
                self.note_revocation(&refused(answer));
            }
            Ending::Reused => {
                if !self.refresh(app).await {
                    return Stop::Unanswered;
                }
                self.asked = Asked::Revocation;
                let Ok(answer) = app.refresh(refresh_token(&self.tokens[0])).await else {
                    return Stop::Unanswered;
                };
                self.note_revocation(&refused(answer));
            }
        }
        Stop::Ended
    }

    async fn refresh(&mut self, app: &RelyingParty) -> bool {
        self.asked = Asked::Refresh;
        let newest = self.tokens.last().unwrap();
        let Ok(answer) = app.refresh(refresh_token(newest)).await else {
            return false;
        };
        self.note(answer.unwrap());
        true
    }

    fn note(&mut self, tokens: Tokens) {
        self.tokens.push(tokens);
        self.asked = Asked::Nothing;
        self.facts += 1;
    }

    fn note_revocation(&mut self, answer: &str) {
        assert_eq!(answer, "invalid_grant");
        self.revoked = true;
        self.asked = Asked::Nothing;
        self.facts += 1;
    }

    /// After a restart: every fact holds. Ends by presenting everything that was spent, after which nothing of the flow is
    /// good for anything, now and at each later [`Flow::is_over`]. `revoked_from_outside` says that the whole client or
    /// person was stopped.
    pub(crate) async fn check(&self, app: &RelyingParty, number: usize) {
        let what = || {
            format!(
                "flow {number}, {:?}, {} tokens, revoked {}, asked {:?}",
                self.ending,
                self.tokens.len(),
                self.revoked,
                self.asked
            )
        };
        if let Some(newest) = self.tokens.last() {
            let answer = app.refresh(refresh_token(newest)).await.unwrap();
            match self.asked {
                _ if self.revoked => assert_eq!(refused(answer), "invalid_grant", "{}", what()),
                // An acknowledged redemption or rotation is not forgotten: its token is good.
                Asked::Nothing => assert!(answer.is_ok(), "{}: {}", what(), refused(answer)),
                // It may have happened, and then this is a reuse.
                Asked::Redemption | Asked::Refresh | Asked::Revocation => {
                    if let Err(refusal) = answer {
                        assert_eq!(refusal.error, "invalid_grant", "{}", what());
                    }
                }
            }
        }
        self.is_over(app, number).await;
    }

    /// Nothing that was spent or revoked is good for anything.
    pub(crate) async fn is_over(&self, app: &RelyingParty, number: usize) {
        // A code is never good twice, and one from before a crash is not good at all.
        if let Some(code) = &self.code {
            let answer = app.redeem(&self.request, code).await.unwrap();
            assert_eq!(refused(answer), "invalid_grant", "the code of flow {number}");
        }
        for (age, tokens) in self.tokens.iter().rev().enumerate() {
            let answer = app.refresh(refresh_token(tokens)).await.unwrap();
            assert_eq!(refused(answer), "invalid_grant", "token -{age} of flow {number}");
        }
        if let Some(tokens) = self.tokens.last() {
            let claims = app.userinfo(&tokens.access_token, "anybody").await.unwrap_err();
            assert!(format!("{claims:#}").contains("401"), "flow {number}: {claims:#}");
        }
    }
}

fn refresh_token(tokens: &Tokens) -> &str {
    tokens.refresh_token.as_deref().unwrap()
}

/// Signs the person out of a browser. `false` where claviger did not answer.
pub(crate) async fn sign_out(app: &RelyingParty, browser: &Browser) -> bool {
    let url = format!("{}/logout", app.registration().issuer).parse().unwrap();
    let Ok(page) = browser.get(&url).await else {
        return false;
    };
    let form = page
        .forms()
        .into_iter()
        .find(|form| form.has_button("confirm-logout"))
        .unwrap();
    browser.submit(&page, &form, Some("confirm-logout")).await.is_ok()
}

/// Whether the browser's session is known.
pub(crate) async fn is_signed_in(app: &RelyingParty, browser: &Browser) -> bool {
    let request = app.authorization_request(SCOPE, &[("prompt", "none")]).unwrap();
    let answer = browser.get(&request.url).await.unwrap();
    let Arrival::Callback(callback) = browser.follow(answer, REDIRECT_URI).await.unwrap() else {
        panic!("prompt=none showed a page");
    };
    !callback
        .query_pairs()
        .any(|pair| pair == ("error".into(), "login_required".into()))
}

/// Numbers that are the same for the same seed, which is `TEST_SEED` or another one each time.
pub(crate) struct Random {
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    pub(crate) fn new() -> Self {
        let seed = scale::seed().unwrap();
        Self { seed, state: seed }
    }

    /// splitmix64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
