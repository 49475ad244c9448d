//! The one place where cache and credential meet: look, lock, look again, mint, keep.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::cache::{self, Cache, Entry, Key, KeyDigest, Lock};
use crate::call::Caller;
use crate::credential::Credential;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{HttpRequest, HttpResponse};
use crate::token::{AccessRequest, SelfSignedTarget, Token, TokenRequest};
use crate::world::World;
use crate::world::clock::Deadline;

/// A cached token with at least this much left, in seconds, is worth more than a long wait for a new one.
const WORTH_KEEPING: i64 = 60;
/// How long a server gets while such a token is at hand.
const SHORT_BUDGET: Duration = Duration::from_secs(2);
/// How long one attempt to renew a token may take: whoever waits for us is not to wait long, and it is tried again.
const RENEWAL_BUDGET: Duration = Duration::from_secs(10);

/// What the flags say about the cache.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Neither read nor write.
    pub no_cache: bool,
    /// Mint anew, and store.
    pub refresh: bool,
    /// Least life of a cached token, in seconds, where the user named one.
    pub min_ttl: Option<i64>,
}

/// Gives tokens: from the cache, or from Google.
pub struct Broker<'w> {
    /// The outside.
    pub world: &'w World,
    cache: Cache<'w>,
    policy: Policy,
    caller: Caller,
    deadline: Cell<Deadline>,
    /// By how much the deadline was moved for what has a limit of its own.
    outside: Cell<Duration>,
    /// The lock that is held for the token being minted, by its name.
    held: RefCell<Option<String>>,
    /// An entry written since then, in Unix milliseconds, is as good as a token minted now.
    begun: i64,
    /// Seconds a cached token must last at least, whatever its credential's margin.
    least: i64,
    /// Whether a person may be asked, where one is there.
    asks: bool,
}

impl<'w> Broker<'w> {
    /// A broker that spends at most `budget` on its own requests and waits.
    pub fn new(world: &'w World, policy: Policy, caller: Caller, budget: Duration) -> Broker<'w> {
        let deadline = Cell::new(Deadline::after(&*world.clock, budget));
        Broker {
            world,
            cache: Cache::new(world),
            policy,
            caller,
            deadline,
            outside: Cell::default(),
            held: RefCell::default(),
            begun: world.started,
            least: 0,
            asks: true,
        }
    }

    /// Asks for a token in place of one that has `left` seconds, later in the same run: what this run, or another
    /// process, has stored will do if it lasts longer. Nobody is asked anything: the terminal is somebody else's then.
    pub fn renewing(mut self, left: i64) -> Broker<'w> {
        self.begun = self.world.clock.unix_millis();
        self.least = left;
        self.asks = false;
        self.policy.refresh = false;
        let deadline = self.deadline.get().at_most(&*self.world.clock, RENEWAL_BUDGET);
        self.deadline.set(deadline);
        self
    }

    /// A token that answers the request.
    ///
    /// # Errors
    /// Whatever kept the credential from minting one.
    pub fn token(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        self.token_that_lasts(credential, request, self.policy.min_ttl)
    }

    /// The token with which one credential gets another one's: one with the usual scopes if it is at hand, or one
    /// that is good for IAM only. `--min-ttl` is about what is printed and does not concern it.
    ///
    /// # Errors
    /// As [`Broker::token`].
    pub fn source_token(&self, credential: &dyn Credential) -> Result<Token> {
        let usual = TokenRequest::Access(AccessRequest::default());
        if credential.cacheable() && !self.policy.no_cache {
            let found = self.cache.look(&key(credential, &usual));
            if let Some(token) = self.accept(found, credential.margin(), None) {
                return Ok(token);
            }
        }
        let for_iam = AccessRequest { for_iam: true, ..AccessRequest::default() };
        self.token_that_lasts(credential, &TokenRequest::Access(for_iam), None)
    }

    fn token_that_lasts(
        &self,
        credential: &dyn Credential,
        request: &TokenRequest,
        min_ttl: Option<i64>,
    ) -> Result<Token> {
        if !credential.cacheable() || self.policy.no_cache {
            credential.prepare(request, self)?;
            return self
                .mint(credential, request)
                .and_then(|token| self.long_enough(token, min_ttl));
        }
        let key = key(credential, request);
        let margin = min_ttl.unwrap_or_else(|| credential.margin()).max(self.least);
        let found = self.cache.look(&key);
        let spare = self.spare(found.as_ref());
        if let Some(token) = self.accept(found, margin, min_ttl) {
            return Ok(token);
        }
        let prepared = self.in_time(spare.as_ref(), || credential.prepare(request, self));
        if let Err(error) = prepared {
            return self.rather(spare, error);
        }
        let lock = match self.cache.lock(&key, self.deadline.get()) {
            Ok(lock) => lock,
            Err(error) => return self.rather(spare, error),
        };
        if let Some(lock) = &lock {
            self.spare_time(lock.for_a_person);
        }
        let found = self.cache.look(&key);
        let spare = self.spare(found.as_ref());
        if let Some(token) = self.accept(found, margin, min_ttl) {
            return Ok(token);
        }
        if lock.is_some()
            && let Some(error) = self.cache.shared_failure(&key)
        {
            return self.rather(spare, error);
        }
        let held = lock.is_some().then(|| Cache::lock_name(&key).to_owned());
        let before = self.held.replace(held);
        let minted = self.in_time(spare.as_ref(), || self.mint(credential, request));
        self.held.replace(before);
        match minted {
            Ok(token) => {
                self.cache.keep(&key, &token);
                self.long_enough(token, min_ttl)
            }
            Err(error) => {
                if worth_noting(error.kind()) {
                    self.cache.note_failure(&key, &error);
                }
                self.rather(spare, error)
            }
        }
    }

    /// Whether the cache may be read and written.
    pub fn caches(&self) -> bool {
        !self.policy.no_cache
    }

    /// Sends a request within what is left of the budget, as often as its patience allows.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.caller.call(request, self.world, self.deadline.get())
    }

    /// Sends a request that may take no longer than `limit`.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send_within(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse> {
        let deadline = self.deadline.get().at_most(&*self.world.clock, limit);
        self.caller.call(request, self.world, deadline)
    }

    /// Does what has a limit of its own, such as a program: its time is not taken from that of our requests.
    pub fn outside<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = self.world.clock.elapsed();
        let done = work();
        self.spare_time(self.world.clock.elapsed().saturating_sub(began));
        done
    }

    /// Whether a person is there who can be asked now.
    pub fn may_ask(&self) -> bool {
        self.asks && self.world.is_attended()
    }

    /// Shows those who wait for the same token that a person is being asked, until what this gives is dropped: at a
    /// terminal they wait as long as that takes.
    pub fn asking(&self) -> Option<Lock> {
        let held = self.held.borrow();
        held.as_deref().and_then(|name| cache::sign(self.world, name))
    }

    /// Takes nothing from the budget for time that was somebody else's.
    fn spare_time(&self, took: Duration) {
        self.deadline.set(self.deadline.get().later(took));
        self.outside.set(self.outside.get() + took);
    }

    /// The moment by which everything must be done.
    pub fn deadline(&self) -> Deadline {
        self.deadline.get()
    }

    /// Whether a token that somebody has already, fresh by the usual `margin`, will do: not when a new one was
    /// asked for, or one that lasts longer.
    pub fn settles_for(&self, token: &Token, margin: i64) -> bool {
        !self.policy.refresh && token.fresh(self.now(), self.policy.min_ttl.unwrap_or(margin))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.world.clock.unix()
    }

    /// Drops the cached token for this request: a server would not have it.
    pub fn forget(&self, credential: &dyn Credential, request: &TokenRequest) {
        self.cache.forget(&key(credential, request));
    }

    /// The cached token for this request, fresh or not, for those who only look.
    pub fn peek(&self, credential: &dyn Credential, request: &TokenRequest) -> Option<Token> {
        credential.cacheable().then(|| self.cache.look(&key(credential, request)))?.map(|e| e.token)
    }

    /// An entry that may be printed: with more left than the margin, or written since this process began.
    fn accept(&self, found: Option<Entry>, margin: i64, min_ttl: Option<i64>) -> Option<Token> {
        let entry = found?;
        let now = self.now();
        let since_start = entry.written > self.begun;
        let good = match since_start {
            true => entry.token.fresh(now, min_ttl.unwrap_or(0)),
            false => !self.policy.refresh && entry.token.fresh(now, margin),
        };
        good.then(|| {
            self.world.terminal.note(|| {
                format!("a cached token is used, {} s left", entry.token.left(now).unwrap_or(0))
            });
            entry.token
        })
    }

    /// A token that is short of the margin but still valid: better than none when nobody answers.
    fn spare(&self, found: Option<&Entry>) -> Option<Token> {
        let token = &found?.token;
        let wanted = self.policy.refresh || self.policy.min_ttl.is_some();
        (!wanted && token.fresh(self.now(), 0)).then(|| token.clone())
    }

    /// The spare in place of an error that means no answer; after a refusal there is none.
    fn rather(&self, spare: Option<Token>, error: Error) -> Result<Token> {
        match spare {
            Some(spare) if error.kind() == ErrorKind::NoAnswer => {
                self.world
                    .terminal
                    .warn(&format!("{error}; a cached token is used while it lasts"));
                Ok(spare)
            }
            _ => Err(error),
        }
    }

    /// Does this in a short time where a token is at hand. What is done outside takes nothing from what follows.
    fn in_time<T>(&self, spare: Option<&Token>, work: impl FnOnce() -> T) -> T {
        let (full, before) = (self.deadline.get(), self.outside.get());
        self.shorten(spare);
        let done = work();
        self.deadline.set(full.later(self.outside.get().saturating_sub(before)));
        done
    }

    /// Leaves a short time only where a token is at hand.
    fn shorten(&self, spare: Option<&Token>) {
        let left = spare.and_then(|spare| spare.left(self.now()));
        if left.is_some_and(|left| left >= WORTH_KEEPING) {
            let short = self.deadline.get().at_most(&*self.world.clock, SHORT_BUDGET);
            self.deadline.set(short);
        }
    }

    fn mint(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        match request {
            TokenRequest::Access(access) => credential.access_token(access, self),
            TokenRequest::SelfSigned(signed) => credential.self_signed(signed, self),
            TokenRequest::Identity(identity) => credential.identity_token(identity, self),
        }
    }

    /// A token that was made without the cache, if it lasts as long as `--min-ttl` wants.
    ///
    /// # Errors
    /// Unsupported, when it does not.
    pub fn lasting(&self, token: Token) -> Result<Token> {
        self.long_enough(token, self.policy.min_ttl)
    }

    /// What the user named explicitly must hold for a new token too.
    fn long_enough(&self, token: Token, min_ttl: Option<i64>) -> Result<Token> {
        match (min_ttl, token.left(self.now())) {
            (Some(wanted), Some(left)) if left < wanted => Err(Error::unsupported(format!(
                "a new token lives {left} s, --min-ttl asks for {wanted} s"
            ))
            .hint("ask for less with --min-ttl, or for a longer --lifetime")),
            _ => Ok(token),
        }
    }
}

/// A failure that others would run into as well. Mistakes in flags or files are each caller's own.
fn worth_noting(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NoAnswer | ErrorKind::Refused | ErrorKind::LoginRequired)
}

/// The digest of everything that decides the token.
fn key(credential: &dyn Credential, request: &TokenRequest) -> Key {
    let mut digest = KeyDigest::new("token");
    credential.identify(&mut digest);
    let (name, lifetime, subject) = match request {
        TokenRequest::Access(access) => ("access", access.lifetime, access.subject.as_deref()),
        TokenRequest::SelfSigned(signed) => ("self-signed", signed.lifetime, None),
        TokenRequest::Identity(_) => ("identity", None, None),
    };
    digest.field(name);
    digest.optional(lifetime.map(|seconds| seconds.to_string()).as_deref());
    digest.optional(subject);
    if matches!(request, TokenRequest::Access(access) if access.for_iam) {
        digest.field("for iam");
    }
    if let TokenRequest::SelfSigned(signed) = request
        && let SelfSignedTarget::Audience(audience) = &signed.target
    {
        digest.field(audience);
    }
    if let TokenRequest::Identity(identity) = request {
        digest.optional(identity.audience.as_deref());
        for flag in [identity.full, Some(identity.licenses), identity.email] {
            digest.number(flag.map_or(2, u64::from));
        }
    }
    for scope in request.scopes() {
        digest.field(scope);
    }
    digest.finish()
}
