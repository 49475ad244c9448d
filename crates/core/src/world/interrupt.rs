//! Signals that end the process, noticed where something has to be put right first: a terminal, a line that is gone
//! afterwards.

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(unix)]
use std::sync::{Arc, Mutex, PoisonError};

/// Whether such a signal has come; until dropped it does nothing else.
#[derive(Debug)]
pub struct InterruptGuard {
    #[cfg(unix)]
    caught: Arc<AtomicUsize>,
}

/// What the handlers share, which stay for good: unless a part of gauth waits for signals, they have their usual effect.
#[cfg(unix)]
struct SignalHandlers {
    caught: Arc<AtomicUsize>,
    use_default_action: Arc<AtomicBool>,
    /// How many are there to notice.
    active_guards: usize,
}

#[cfg(unix)]
static HANDLERS: Mutex<Option<SignalHandlers>> = Mutex::new(None);

#[cfg(unix)]
impl SignalHandlers {
    fn new() -> std::io::Result<SignalHandlers> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        use signal_hook::flag::{register_conditional_default, register_usize};
        let (caught, use_default_action) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or_default();
            register_conditional_default(signal, Arc::clone(&use_default_action))?;
            register_usize(signal, Arc::clone(&caught), number)?;
        }
        Ok(SignalHandlers { caught, use_default_action, active_guards: 0 })
    }
}

#[cfg(unix)]
impl InterruptGuard {
    /// Notices them in place of ending.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn catch() -> std::io::Result<InterruptGuard> {
        let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match handlers.take() {
            Some(known) => known,
            None => SignalHandlers::new()?,
        };
        let known = handlers.insert(known);
        if known.active_guards == 0 {
            known.caught.store(0, Ordering::Relaxed);
            known.use_default_action.store(false, Ordering::Relaxed);
        }
        known.active_guards += 1;
        Ok(InterruptGuard { caught: Arc::clone(&known.caught) })
    }

    /// The number of the one that has come.
    pub fn caught_signal(&self) -> Option<i32> {
        let signal = self.caught.load(Ordering::Relaxed);
        i32::try_from(signal).ok().filter(|signal| *signal != 0)
    }
}

#[cfg(unix)]
impl Drop for InterruptGuard {
    fn drop(&mut self) {
        let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = handlers.as_mut() {
            known.active_guards -= 1;
            known.use_default_action.store(known.active_guards == 0, Ordering::Relaxed);
        }
    }
}

/// Ends the process as the signal does. Where the system lets it live on, this comes back.
#[cfg(unix)]
pub fn die_from_signal(signal: i32) {
    _ = signal_hook::low_level::emulate_default_handler(signal);
}

#[cfg(not(unix))]
impl InterruptGuard {
    /// Does nothing: Ctrl-C ends the process.
    ///
    /// # Errors
    /// Never.
    pub fn catch() -> std::io::Result<InterruptGuard> {
        Ok(InterruptGuard {})
    }

    /// No signal is ever caught on this system.
    pub fn caught_signal(&self) -> Option<i32> {
        None
    }
}

/// There are no signals.
#[cfg(not(unix))]
pub fn die_from_signal(_: i32) {}
