//! Where cache and credential meet: read the cache, lock the entry, read it again, get a new token, store it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::http::client::HttpClient;
use crate::net::message::{HttpRequest, HttpResponse};
use crate::tokens::cache::{Cache, CacheEntry, CacheKey, CacheKeyHasher, Lock};
use crate::tokens::credential::{Credential, Session};
use crate::tokens::{AccessTokenRequest, SelfSignedTarget, Token, TokenRequest, cache};
use crate::world::World;
use crate::world::clock::Deadline;

/// A cached token with at least this many seconds left is used rather than waiting long for a new one.
const MIN_STALE_TOKEN_SECONDS: i64 = 60;
/// How long a server may take to answer while there is such a token.
const STALE_TOKEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one attempt to renew a token may take: it holds up the program it renews for, and is repeated later.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How the flags let the cache be used.
#[derive(Debug, Clone, Copy, Default)]
pub struct CachePolicy {
    /// Neither read nor write the cache (`--no-cache`).
    pub no_cache: bool,
    /// Get a new token and store it (`--refresh`).
    pub refresh: bool,
    /// Seconds a token must have left (`--min-ttl`), where the user set them.
    pub min_ttl: Option<i64>,
}

/// Gives tokens: from the cache, or from the credential's server.
pub struct Broker<'w> {
    /// The doors to everything outside the process.
    pub world: &'w World,
    cache: Cache<'w>,
    cache_policy: CachePolicy,
    http_client: HttpClient,
    deadline: Cell<Deadline>,
    /// How far the deadline has been moved for work with a limit of its own.
    total_pause: Cell<Duration>,
    /// The name of the lock held while a new token is fetched.
    held_lock_name: RefCell<Option<String>>,
    /// Unix milliseconds: a cache entry written later counts as a new token.
    started_at_millis: i64,
    /// Seconds a cached token must have left at least, whatever its refresh margin.
    min_remaining_seconds: i64,
    /// Whether the user may be prompted at a terminal.
    may_prompt: bool,
}

impl<'w> Broker<'w> {
    /// A broker that spends at most `budget` on its own requests and waits.
    pub fn new(world: &'w World, cache_policy: CachePolicy, http_client: HttpClient, budget: Duration) -> Broker<'w> {
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

    /// For a token that replaces one with `seconds_left`, later in the same run: a cached token is used if it lasts
    /// longer. The user is not prompted, because a child process has the terminal.
    pub fn for_renewal(mut self, seconds_left: i64) -> Broker<'w> {
        self.started_at_millis = self.world.clock.unix_millis();
        self.min_remaining_seconds = seconds_left;
        self.may_prompt = false;
        self.cache_policy.refresh = false;
        let deadline = self.deadline.get().capped_at(&*self.world.clock, RENEWAL_TIMEOUT);
        self.deadline.set(deadline);
        self
    }

    /// A token for the request.
    ///
    /// # Errors
    /// Those of the credential; `NoAnswer` when the lock of the cache entry is not free in time.
    pub fn token(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        self.token_with_min_ttl(credential, request, self.cache_policy.min_ttl)
    }

    fn token_with_min_ttl(
        &self,
        credential: &dyn Credential,
        request: &TokenRequest,
        min_ttl: Option<i64>,
    ) -> Result<Token> {
        if !credential.is_cacheable() || self.cache_policy.no_cache {
            credential.prepare(request, self)?;
            return self.fetch(credential, request).and_then(|token| self.require_min_ttl_of(token, min_ttl));
        }
        let key = cache_key(credential, request);
        let entry = self.cache.get(&key);
        let stale_token = self.stale_token(entry.as_ref());
        if let Some(token) = self.usable_token(entry, min_ttl) {
            return Ok(token);
        }
        let prepared = self.with_short_deadline_if_stale(stale_token.as_ref(), || credential.prepare(request, self));
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
        if let Some(token) = self.usable_token(entry, min_ttl) {
            return Ok(token);
        }
        if lock.is_some()
            && let Some(error) = self.cache.recent_shared_failure(&key)
        {
            return self.or_stale(stale_token, error);
        }
        let lock_name = lock.is_some().then(|| Cache::lock_name(&key).to_owned());
        let previous_lock_name = self.held_lock_name.replace(lock_name);
        let fetched = self.with_short_deadline_if_stale(stale_token.as_ref(), || self.fetch(credential, request));
        self.held_lock_name.replace(previous_lock_name);
        match fetched {
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

    /// Sends a request within what is left of the budget, with the retries its policy allows.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.http_client.send(request, self.world, self.deadline.get())
    }

    /// Sends a request that may take no longer than `timeout`.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    pub fn send_with_timeout(&self, request: &HttpRequest, timeout: Duration) -> Result<HttpResponse> {
        let deadline = self.deadline.get().capped_at(&*self.world.clock, timeout);
        self.http_client.send(request, self.world, deadline)
    }

    /// Does what has a limit of its own, such as running a program: its time is not taken from the budget.
    pub fn pause_deadline<T>(&self, work: impl FnOnce() -> T) -> T {
        let session: &dyn Session = self;
        session.pause_deadline(work)
    }

    /// The time now, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.world.clock.unix_seconds()
    }

    /// Removes the cached token for this request, because a server rejected it.
    pub fn remove_cached_token(&self, credential: &dyn Credential, request: &TokenRequest) {
        self.cache.remove(&cache_key(credential, request));
    }

    /// The cached token for this request, fresh or not, for display.
    pub fn peek_cached_token(&self, credential: &dyn Credential, request: &TokenRequest) -> Option<Token> {
        credential.is_cacheable().then(|| self.cache.get(&cache_key(credential, request)))?.map(|entry| entry.token)
    }

    /// The token of a cache entry that has enough time left, or was written since this process started.
    fn usable_token(&self, entry: Option<CacheEntry>, min_ttl: Option<i64>) -> Option<Token> {
        let entry = entry?;
        let now = self.now();
        let required_seconds = min_ttl.unwrap_or(entry.token.refresh_margin).max(self.min_remaining_seconds);
        let is_newer_than_start = entry.written_at_millis > self.started_at_millis;
        let is_usable = match is_newer_than_start {
            true => entry.token.is_fresh(now, min_ttl.unwrap_or(0)),
            false => !self.cache_policy.refresh && entry.token.is_fresh(now, required_seconds),
        };
        is_usable.then(|| {
            self.world
                .terminal
                .note(|| format!("a cached token is used, {} s left", entry.token.seconds_left(now).unwrap_or(0)));
            entry.token
        })
    }

    /// A token that is within its refresh margin but still valid: used when the server does not answer.
    fn stale_token(&self, entry: Option<&CacheEntry>) -> Option<Token> {
        let token = &entry?.token;
        let needs_other_token = self.cache_policy.refresh || self.cache_policy.min_ttl.is_some();
        (!needs_other_token && token.is_fresh(self.now(), 0)).then(|| token.clone())
    }

    /// The stale token in place of an error, if the server did not answer; a refusal stays an error.
    fn or_stale(&self, stale_token: Option<Token>, error: Error) -> Result<Token> {
        match stale_token {
            Some(token) if error.kind() == ErrorKind::NoAnswer => {
                self.world.terminal.warn(&format!("{error}; a cached token is used while it lasts"));
                Ok(token)
            }
            _ => Err(error),
        }
    }

    /// Does the work under a short deadline where there is a stale token, then restores the full one.
    fn with_short_deadline_if_stale<T>(&self, stale_token: Option<&Token>, work: impl FnOnce() -> T) -> T {
        let (full_deadline, previous_pause) = (self.deadline.get(), self.total_pause.get());
        self.shorten_deadline_if_stale(stale_token);
        let result = work();
        self.deadline.set(full_deadline.extended_by(self.total_pause.get().saturating_sub(previous_pause)));
        result
    }

    /// Shortens the deadline where there is a stale token.
    fn shorten_deadline_if_stale(&self, stale_token: Option<&Token>) {
        let seconds_left = stale_token.and_then(|token| token.seconds_left(self.now()));
        if seconds_left.is_some_and(|left| left >= MIN_STALE_TOKEN_SECONDS) {
            let short_deadline = self.deadline.get().capped_at(&*self.world.clock, STALE_TOKEN_TIMEOUT);
            self.deadline.set(short_deadline);
        }
    }

    fn fetch(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        match request {
            TokenRequest::AccessToken(access) => credential.access_token(access, self),
            TokenRequest::SelfSignedJwt(signed) => credential.self_signed_jwt(signed, self),
            TokenRequest::IdToken(id_token) => credential.id_token(id_token, self),
        }
    }

    /// The token, if it has the time left that `--min-ttl` asks for.
    ///
    /// # Errors
    /// `Unsupported`, when it has not.
    pub fn require_min_ttl(&self, token: Token) -> Result<Token> {
        self.require_min_ttl_of(token, self.cache_policy.min_ttl)
    }

    /// An explicit `--min-ttl` holds for a new token too.
    fn require_min_ttl_of(&self, token: Token, min_ttl: Option<i64>) -> Result<Token> {
        match (min_ttl, token.seconds_left(self.now())) {
            (Some(required), Some(left)) if left < required => {
                Err(Error::unsupported(format!("a new token lives {left} s, --min-ttl asks for {required} s"))
                    .hint("ask for less with --min-ttl, or for a longer --lifetime"))
            }
            _ => Ok(token),
        }
    }
}

impl Session for Broker<'_> {
    fn world(&self) -> &World {
        self.world
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        Broker::send(self, request)
    }

    fn send_with_timeout(&self, request: &HttpRequest, timeout: Duration) -> Result<HttpResponse> {
        Broker::send_with_timeout(self, request, timeout)
    }

    fn token(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token> {
        Broker::token(self, credential, request)
    }

    /// One with the usual scopes if it is cached, else one for IAM only. `--min-ttl` is about the token that is
    /// printed and does not apply.
    fn source_token(&self, credential: &dyn Credential) -> Result<Token> {
        let default_request = TokenRequest::AccessToken(AccessTokenRequest::default());
        if credential.is_cacheable() && !self.cache_policy.no_cache {
            let entry = self.cache.get(&cache_key(credential, &default_request));
            if let Some(token) = self.usable_token(entry, None) {
                return Ok(token);
            }
        }
        let iam_request = AccessTokenRequest { for_iam: true, ..AccessTokenRequest::default() };
        self.token_with_min_ttl(credential, &TokenRequest::AccessToken(iam_request), None)
    }

    fn is_sufficient(&self, token: &Token, min_seconds: i64) -> bool {
        !self.cache_policy.refresh && token.is_fresh(self.now(), self.cache_policy.min_ttl.unwrap_or(min_seconds))
    }

    fn deadline(&self) -> Deadline {
        self.deadline.get()
    }

    fn extend_deadline(&self, elapsed: Duration) {
        self.deadline.set(self.deadline.get().extended_by(elapsed));
        self.total_pause.set(self.total_pause.get() + elapsed);
    }

    fn can_prompt(&self) -> bool {
        self.may_prompt && self.world.is_interactive()
    }

    fn mark_prompting(&self) -> Option<Lock> {
        let lock_name = self.held_lock_name.borrow();
        lock_name.as_deref().and_then(|name| cache::mark_prompting(self.world, name))
    }
}

/// Whether another process with the same request would fail too; mistakes in flags or files concern one caller.
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
        for flag in [id_token.full_format, Some(id_token.include_licenses), id_token.include_email] {
            hasher.add_number(flag.map_or(2, u64::from));
        }
    }
    for scope in request.scopes() {
        hasher.add_text(scope);
    }
    hasher.finish()
}
