//! An answer as an iterator. The library calls back on the thread that asks, so the answer is made on a thread of its own and comes
//! over in a channel. The stream holds the session by `&mut`, so nothing else can be asked meanwhile.

use std::sync::mpsc::{channel, Receiver};
use std::thread::{self, JoinHandle};

use crate::error::{Code, Error};
use crate::request::Request;
use crate::result::Output;
use crate::session::{Cancel, Session};

/// New text of the answer with this index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub answer: usize,
    pub text: String,
}

/// Parts of an answer while it grows. Dropping it early cancels the answer.
pub struct Stream<'a> {
    parts: Receiver<Part>,
    thread: Option<JoinHandle<Result<Output, Error>>>,
    cancel: Cancel,
    _session: &'a mut Session,
}

impl<'a> Stream<'a> {
    pub(crate) fn start(session: &'a mut Session, request: Request) -> Stream<'a> {
        let (sender, parts) = channel();
        let cancel = session.cancel_handle();
        let mut lent = session.lend();
        let thread = thread::spawn(move || lent.generate_with(&request, |part| sender.send(part).is_ok()));
        Stream { parts, thread: Some(thread), cancel, _session: session }
    }

    /// What stops this answer from another thread.
    pub fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the end and gives the result. Parts that were not read are skipped.
    pub fn finish(mut self) -> Result<Output, Error> {
        match self.thread.take().expect("joined once").join() {
            Ok(result) => result,
            Err(_) => Err(Error::new(Code::Internal, "the thread of the stream panicked")),
        }
    }
}

impl Iterator for Stream<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.parts.recv().ok()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.cancel.cancel();
            let _ = thread.join();
            self.cancel.reset(); // it may have come too late
        }
    }
}
