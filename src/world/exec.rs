//! Starting programs: argument vectors, never a shell.
