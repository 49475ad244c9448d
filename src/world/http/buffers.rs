//! Buffers that are wiped, and the note of how far an attempt came that is taken as they fill and empty.

use std::sync::{Arc, Mutex, PoisonError};

use ureq::unversioned::transport::Buffers;
use zeroize::Zeroizing;

use super::{BUFFER, LARGEST_HEAD};

/// More interim answers (1xx) than this are an attempt to keep us busy.
const MOST_INTERIM: u32 = 8;

/// What an error needs to know about how far the attempt came.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The server itself, not only a proxy, has been reached.
    pub(super) reached: bool,
    /// Bytes of the request may have left.
    pub(super) sent: bool,
    /// Interim answers so far.
    pub(super) interim: u32,
    /// The final answer's head has been read.
    answered: bool,
}

impl Watch {
    /// Whether there were more interim answers than anybody sends in earnest.
    pub(super) fn flooded(&self) -> bool {
        self.interim > MOST_INTERIM
    }
}

/// Changes what is known of the attempt, where this connection is watched.
pub(super) fn note(watch: &Option<Arc<Mutex<Watch>>>, change: impl FnOnce(&mut Watch)) {
    if let Some(watch) = watch {
        change(&mut watch.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Buffers that are wiped when dropped, and that count the heads of answers as these are consumed.
pub(super) struct Wiped {
    input: Zeroizing<Vec<u8>>,
    filled: usize,
    consumed: usize,
    pub(super) output: Zeroizing<Vec<u8>>,
    /// The last look at the input took something out of it.
    progress: bool,
    pub(super) watch: Option<Arc<Mutex<Watch>>>,
    pub(super) flooded: bool,
}

impl Wiped {
    pub(super) fn new(watch: Option<Arc<Mutex<Watch>>>) -> Wiped {
        Wiped {
            input: Zeroizing::new(vec![0; BUFFER]),
            filled: 0,
            consumed: 0,
            output: Zeroizing::new(vec![0; BUFFER]),
            progress: false,
            watch,
            flooded: false,
        }
    }

    /// Room for at least half a buffer more. A head that fills more than its limit is refused by ureq.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.input.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.input.len() - self.filled < BUFFER / 2 && self.input.len() < 2 * LARGEST_HEAD {
            let mut larger = Zeroizing::new(vec![0; self.input.len() * 2]);
            larger[..self.filled].copy_from_slice(&self.input[..self.filled]);
            self.input = larger;
        }
        &mut self.input[self.filled..]
    }
}

impl Buffers for Wiped {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.room()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    /// Until the final answer, what is consumed is always one whole head.
    fn input_consume(&mut self, amount: usize) {
        let interim = self.input().get(9) == Some(&b'1');
        if amount > 0 {
            let flooded = &mut self.flooded;
            note(&self.watch, |watch| match (watch.answered, interim) {
                (true, _) => {}
                (false, true) => {
                    watch.interim += 1;
                    *flooded = watch.flooded();
                }
                (false, false) => watch.answered = true,
            });
        }
        self.progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first is for chunked requests, which are never sent.
        (&mut [], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.consumed < self.filled
    }
}
