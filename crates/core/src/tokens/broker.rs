//! The one place where cache and credential meet: look, lock, look again, mint, keep.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::http::client::HttpClient;
use crate::net::message::{HttpRequest, HttpResponse};
use crate::tokens::cache;
use crate::tokens::cache::{Cache, CacheEntry, CacheKey, CacheKeyHasher, Lock};
use crate::tokens::credential::Credential;
use crate::tokens::{AccessTokenRequest, SelfSignedTarget, Token, TokenRequest};
use crate::world::World;
use crate::world::clock::Deadline;

/// A cached token with at least this much left, in seconds, is worth more than a long wait for a new one.
const MIN_STALE_TOKEN_SECONDS: i64 = 60;
/// How long a server gets while such a token is at hand.
const STALE_TOKEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one attempt to renew a token may take: whoever waits for us is not to wait long, and it is tried again.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the flags say about the cache.
#[derive(Debug, Clone, Copy, Default)]
pub struct CachePolicy {
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
    cache_policy: CachePolicy,
    http_client: HttpClient,
    deadline: Cell<Deadline>,
    /// By how much the deadline was moved for what has a limit of its own.
    total_pause: Cell<Duration>,
    /// The lock that is held for the token being minted, by its name.
    held_lock_name: RefCell<Option<String>>,
    /// An entry written since then, in Unix milliseconds, is as good as a token minted now.
    started_at_millis: i64,
    /// Seconds a cached token must last at least, whatever its credential's margin.
    min_remaining_seconds: i64,
    /// Whether a person may be asked, where one is there.
    may_prompt: bool,
}

impl<'w> Broker<'w> {
    /// A broker that spends at most `budget` on its own requests and waits.
    pub fn new(
        world: &'w World,
        cache_policy: CachePolicy,
        http_client: HttpClient,
        budget: Duration,
    ) -> Broker<'w> {
        let deadline = Cell::new(Deadline::after(&*world.clock, budget));
        Broker {
            world,
            cache: Cache::new(world),
            cache_policy,
            http_client,
            deadline,
            total_pause: Cell::default(),
            held_lock_name: RefCell::default(),
            started_at_millis: world.started_at_millis,
            min_remaining_seconds: 0,
            may_prompt: true,
        }
    }

    /// Asks for a token in place of one that has `left` seconds, later in the same run: what this run, or another
    /// process, has stored will do if it lasts longer. Nobody is asked anything: the terminal is somebody else's then.
    pub fn for_renewal(mut self, seconds_left: i64) -> Broker<'w> {
        self.started_at_millis = self.world.clock.unix_millis();
        self.min_remaining_seconds = seconds_left;
        self.may_prompt = false;
        self.cache_policy.refresh = false;
        let deadline = self.deadline.get().capped_at(&*self.world.clock, RENEWAL_TIMEOUT);
        self.deadline.set(deadline);
        self
    }

    /// A token that answers the request.
    ///
    /// # Errors
    /// Whatever kept the credential from minting one.
    pub fn token(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        self.token_with_min_ttl(credential, request, self.cache_policy.min_ttl)
    }

    /// The token with which one credential gets another one's: one with the usual scopes if it is at hand, or one
    /// that is good for IAM only. `--min-ttl` is about what is printed and does not concern it.
    ///
    /// # Errors
    /// As [`Broker::token`].
    pub fn source_token(&self, credential: &dyn Credential) -> Result<Token> {
        let default_request = TokenRequest::AccessToken(AccessTokenRequest::default());
        if credential.is_cacheable() && !self.cache_policy.no_cache {
            let entry = self.cache.get(&cache_key(credential, &default_request));
            if let Some(token) = self.usable_token(entry, credential.refresh_margin(), None) {
                return Ok(token);
            }
        }
        let iam_request = AccessTokenRequest { for_iam: true, ..AccessTokenRequest::default() };
        self.token_with_min_ttl(credential, &TokenRequest::AccessToken(iam_request), None)
    }

    fn token_with_min_ttl(
        &self,
        credential: &dyn Credential,
        request: &TokenRequest,
        min_ttl: Option<i64>,
    ) -> Result<Token> {
        if !credential.is_cacheable() || self.cache_policy.no_cache {
            credential.prepare(request, self)?;
            return self
                .mint(credential, request)
                .and_then(|token| self.require_min_ttl_of(token, min_ttl));
        }
        let key = cache_key(credential, request);
        let required_seconds =
            min_ttl.unwrap_or_else(|| credential.refresh_margin()).max(self.min_remaining_seconds);
        let entry = self.cache.get(&key);
        let stale_token = self.stale_token(entry.as_ref());
        if let Some(token) = self.usable_token(entry, required_seconds, min_ttl) {
            return Ok(token);
        }
        let prepared = self.with_short_deadline_if_stale(stale_token.as_ref(), || {
            credential.prepare(request, self)
        });
        if let Err(error) = prepared {
            return self.or_stale(stale_token, error);
        }
        let lock = match self.cache.lock(&key, self.deadline.get()) {
            Ok(lock) => lock,
            Err(error) => return self.or_stale(stale_token, error),
        };
        if let Some(lock) = &lock {
            self.extend_deadline(lock.prompt_wait);
        }
        let entry = self.cache.get(&key);
        let stale_token = self.stale_token(entry.as_ref());
        if let Some(token) = self.usable_token(entry, required_seconds, min_ttl) {
            return Ok(token);
        }
        if lock.is_some()
            && let Some(error) = self.cache.recent_shared_failure(&key)
        {
            return self.or_stale(stale_token, error);
        }
        let lock_name = lock.is_some().then(|| Cache::lock_name(&key).to_owned());
        let previous_lock_name = self.held_lock_name.replace(lock_name);
        let minted = self
            .with_short_deadline_if_stale(stale_token.as_ref(), || self.mint(credential, request));
        self.held_lock_name.replace(previous_lock_name);
        match minted {
            Ok(token) => {
                self.cache.store(&key, &token);
                self.require_min_ttl_of(token, min_ttl)
            }
            Err(error) => {
                if is_shareable_failure(error.kind()) {
                    self.cache.store_failure(&key, &error);
                }
                self.or_stale(stale_token, error)
            }
        }
    }

    /// Whether the cache may be read and written.
    pub fn uses_cache(&self) -> bool {
        !self.cache_policy.no_cache
    }

    /// Sends a request within what is left of the budget, as often as its patience allows.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.http_client.send(request, self.world, self.deadline.get())
    }

    /// Sends a request that may take no longer than `limit`.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send_with_timeout(
        &self,
        request: &HttpRequest,
        timeout: Duration,
    ) -> Result<HttpResponse> {
        let deadline = self.deadline.get().capped_at(&*self.world.clock, timeout);
        self.http_client.send(request, self.world, deadline)
    }

    /// Does what has a limit of its own, such as a program: its time is not taken from that of our requests.
    pub fn pause_deadline<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = self.world.clock.elapsed();
        let result = work();
        self.extend_deadline(self.world.clock.elapsed().saturating_sub(started));
        result
    }

    /// Whether a person is there who can be asked now.
    pub fn can_prompt(&self) -> bool {
        self.may_prompt && self.world.is_interactive()
    }

    /// Shows those who wait for the same token that a person is being asked, until what this gives is dropped: at a
    /// terminal they wait as long as that takes.
    pub fn mark_prompting(&self) -> Option<Lock> {
        let lock_name = self.held_lock_name.borrow();
        lock_name.as_deref().and_then(|name| cache::mark_prompting(self.world, name))
    }

    /// Takes nothing from the budget for time that was somebody else's.
    fn extend_deadline(&self, elapsed: Duration) {
        self.deadline.set(self.deadline.get().extended_by(elapsed));
        self.total_pause.set(self.total_pause.get() + elapsed);
    }

    /// The moment by which everything must be done.
    pub fn deadline(&self) -> Deadline {
        self.deadline.get()
    }

    /// Whether a token that somebody has already, fresh by the usual `margin`, will do: not when a new one was
    /// asked for, or one that lasts longer.
    pub fn is_sufficient(&self, token: &Token, refresh_margin: i64) -> bool {
        !self.cache_policy.refresh
            && token.is_fresh(self.now(), self.cache_policy.min_ttl.unwrap_or(refresh_margin))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.world.clock.unix_seconds()
    }

    /// Drops the cached token for this request: a server would not have it.
    pub fn remove_cached_token(&self, credential: &dyn Credential, request: &TokenRequest) {
        self.cache.remove(&cache_key(credential, request));
    }

    /// The cached token for this request, fresh or not, for those who only look.
    pub fn peek_cached_token(
        &self,
        credential: &dyn Credential,
        request: &TokenRequest,
    ) -> Option<Token> {
        credential
            .is_cacheable()
            .then(|| self.cache.get(&cache_key(credential, request)))?
            .map(|e| e.token)
    }

    /// An entry that may be printed: with more left than the margin, or written since this process began.
    fn usable_token(
        &self,
        entry: Option<CacheEntry>,
        required_seconds: i64,
        min_ttl: Option<i64>,
    ) -> Option<Token> {
        let entry = entry?;
        let now = self.now();
        let is_newer_than_start = entry.written_at_millis > self.started_at_millis;
        let is_usable = match is_newer_than_start {
            true => entry.token.is_fresh(now, min_ttl.unwrap_or(0)),
            false => !self.cache_policy.refresh && entry.token.is_fresh(now, required_seconds),
        };
        is_usable.then(|| {
            self.world.terminal.note(|| {
                format!(
                    "a cached token is used, {} s left",
                    entry.token.seconds_left(now).unwrap_or(0)
                )
            });
            entry.token
        })
    }

    /// A token that is short of the margin but still valid: better than none when nobody answers.
    fn stale_token(&self, entry: Option<&CacheEntry>) -> Option<Token> {
        let token = &entry?.token;
        let needs_other_token = self.cache_policy.refresh || self.cache_policy.min_ttl.is_some();
        (!needs_other_token && token.is_fresh(self.now(), 0)).then(|| token.clone())
    }

    /// The spare in place of an error that means no answer; after a refusal there is none.
    fn or_stale(&self, stale_token: Option<Token>, error: Error) -> Result<Token> {
        match stale_token {
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
    fn with_short_deadline_if_stale<T>(
        &self,
        stale_token: Option<&Token>,
        work: impl FnOnce() -> T,
    ) -> T {
        let (full_deadline, previous_pause) = (self.deadline.get(), self.total_pause.get());
        self.shorten_deadline_if_stale(stale_token);
        let result = work();
        self.deadline
            .set(full_deadline.extended_by(self.total_pause.get().saturating_sub(previous_pause)));
        result
    }

    /// Leaves a short time only where a token is at hand.
    fn shorten_deadline_if_stale(&self, stale_token: Option<&Token>) {
        let seconds_left = stale_token.and_then(|spare| spare.seconds_left(self.now()));
        if seconds_left.is_some_and(|left| left >= MIN_STALE_TOKEN_SECONDS) {
            let short_deadline =
                self.deadline.get().capped_at(&*self.world.clock, STALE_TOKEN_TIMEOUT);
            self.deadline.set(short_deadline);
        }
    }

    fn mint(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        match request {
            TokenRequest::AccessToken(access) => credential.access_token(access, self),
            TokenRequest::SelfSignedJwt(signed) => credential.self_signed_jwt(signed, self),
            TokenRequest::IdToken(id_token) => credential.id_token(id_token, self),
        }
    }

    /// A token that was made without the cache, if it lasts as long as `--min-ttl` wants.
    ///
    /// # Errors
    /// Unsupported, when it does not.
    pub fn require_min_ttl(&self, token: Token) -> Result<Token> {
        self.require_min_ttl_of(token, self.cache_policy.min_ttl)
    }

    /// What the user named explicitly must hold for a new token too.
    fn require_min_ttl_of(&self, token: Token, min_ttl: Option<i64>) -> Result<Token> {
        match (min_ttl, token.seconds_left(self.now())) {
            (Some(wanted), Some(left)) if left < wanted => Err(Error::unsupported(format!(
                "a new token lives {left} s, --min-ttl asks for {wanted} s"
            ))
            .hint("ask for less with --min-ttl, or for a longer --lifetime")),
            _ => Ok(token),
        }
    }
}

/// A failure that others would run into as well. Mistakes in flags or files are each caller's own.
fn is_shareable_failure(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NoAnswer | ErrorKind::Refused | ErrorKind::LoginRequired)
}

/// The digest of everything that decides the token.
fn cache_key(credential: &dyn Credential, request: &TokenRequest) -> CacheKey {
    let mut hasher = CacheKeyHasher::new("token");
    credential.hash_cache_key(&mut hasher);
    let (name, lifetime, subject) = match request {
        TokenRequest::AccessToken(access) => ("access", access.lifetime, access.subject.as_deref()),
        TokenRequest::SelfSignedJwt(signed) => ("self-signed", signed.lifetime, None),
        TokenRequest::IdToken(_) => ("identity", None, None),
    };
    hasher.add_text(name);
    hasher.add_optional(lifetime.map(|seconds| seconds.to_string()).as_deref());
    hasher.add_optional(subject);
    if matches!(request, TokenRequest::AccessToken(access) if access.for_iam) {
        hasher.add_text("for iam");
    }
    if let TokenRequest::SelfSignedJwt(signed) = request
        && let SelfSignedTarget::Audience(audience) = &signed.target
    {
        hasher.add_text(audience);
    }
    if let TokenRequest::IdToken(id_token) = request {
        hasher.add_optional(id_token.audience.as_deref());
        for flag in [id_token.full_format, Some(id_token.include_licenses), id_token.include_email]
        {
            hasher.add_number(flag.map_or(2, u64::from));
        }
    }
    for scope in request.scopes() {
        hasher.add_text(scope);
    }
    hasher.finish()
}
