//! Buffers that are wiped, and the note of how far an attempt came that is taken as they fill and empty.

use std::sync::{Arc, Mutex, PoisonError};

use ureq::unversioned::transport::Buffers;
use zeroize::Zeroizing;

use crate::http::transport::{BUFFER_BYTES, MAX_HEAD_BYTES};

/// The limit of interim responses (1xx); a server that sends more only keeps gauth busy.
const MAX_INTERIM_RESPONSES: u32 = 8;

/// What an error needs to know about how far the attempt came.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The server itself, not only a proxy, has been reached.
    pub(super) server_reached: bool,
    /// Bytes of the request may have left.
    pub(super) request_sent: bool,
    /// How many interim responses have been read.
    pub(super) interim_responses: u32,
    /// Whether the head of the final response has been read.
    final_head_read: bool,
}

impl Progress {
    /// Whether the limit of interim responses is exceeded.
    pub(super) fn has_too_many_interim(&self) -> bool {
        self.interim_responses > MAX_INTERIM_RESPONSES
    }
}

/// Changes what is known of the attempt, where this connection is watched.
pub(super) fn record_progress(progress: &Option<Arc<Mutex<Progress>>>, change: impl FnOnce(&mut Progress)) {
    if let Some(watch) = progress {
        change(&mut watch.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Buffers that are wiped when dropped, and that count the heads of responses as these are consumed.
pub(super) struct ZeroizingBuffers {
    input: Zeroizing<Vec<u8>>,
    filled: usize,
    consumed: usize,
    pub(super) output: Zeroizing<Vec<u8>>,
    /// The last look at the input took something out of it.
    consumed_input: bool,
    pub(super) attempt_progress: Option<Arc<Mutex<Progress>>>,
    pub(super) too_many_interim: bool,
}

impl ZeroizingBuffers {
    pub(super) fn new(progress: Option<Arc<Mutex<Progress>>>) -> ZeroizingBuffers {
        ZeroizingBuffers {
            input: Zeroizing::new(vec![0; BUFFER_BYTES]),
            filled: 0,
            consumed: 0,
            output: Zeroizing::new(vec![0; BUFFER_BYTES]),
            consumed_input: false,
            attempt_progress: progress,
            too_many_interim: false,
        }
    }

    /// Room for at least half a buffer more. A head that fills more than its limit is refused by ureq.
    pub(super) fn free_space(&mut self) -> &mut [u8] {
        self.input.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.input.len() - self.filled < BUFFER_BYTES / 2 && self.input.len() < 2 * MAX_HEAD_BYTES {
            let mut larger = Zeroizing::new(vec![0; self.input.len() * 2]);
            larger[..self.filled].copy_from_slice(&self.input[..self.filled]);
            self.input = larger;
        }
        &mut self.input[self.filled..]
    }
}

impl Buffers for ZeroizingBuffers {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.free_space()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    /// Until the final response, what is consumed is always one whole head.
    fn input_consume(&mut self, amount: usize) {
        let interim = self.input().get(9) == Some(&b'1');
        if amount > 0 {
            let flooded = &mut self.too_many_interim;
            record_progress(&self.attempt_progress, |watch| match (watch.final_head_read, interim) {
                (true, _) => {}
                (false, true) => {
                    watch.interim_responses += 1;
                    *flooded = watch.has_too_many_interim();
                }
                (false, false) => watch.final_head_read = true,
            });
        }
        self.consumed_input = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first is for chunked requests, which are never sent.
        (&mut [], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.consumed_input && self.consumed < self.filled
    }
}
