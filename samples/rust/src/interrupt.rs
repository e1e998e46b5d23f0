//! Ctrl-C without a crate: the signal is blocked in every thread, and one thread waits for it.

use std::thread;

const SIGINT: i32 = 2;
const SIG_BLOCK: i32 = 0;

/// `sigset_t` of Linux: 1024 bits.
#[repr(C)]
struct SignalSet([u64; 16]);

extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> i32;
    fn sigaddset(set: *mut SignalSet, signal: i32) -> i32;
    fn pthread_sigmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigwait(set: *const SignalSet, signal: *mut i32) -> i32;
}

fn interrupts() -> SignalSet {
    let mut set = SignalSet([0; 16]);
    // SAFETY: the set is as large as the C library's.
    unsafe {
        sigemptyset(&mut set);
        sigaddset(&mut set, SIGINT);
    }
    set
}

/// Before any thread starts, so that all of them inherit it.
pub fn block() {
    // SAFETY: the old mask is not asked for.
    unsafe { pthread_sigmask(SIG_BLOCK, &interrupts(), std::ptr::null_mut()) };
}

/// Calls `action` at the first Ctrl-C.
pub fn on_interrupt(action: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: both places live during the call.
        unsafe { sigwait(&interrupts(), &mut signal) };
        action();
    });
}
