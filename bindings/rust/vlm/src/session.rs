//! Conversations.

use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;
use vlm_sys::*;

use crate::error::{call, Error};
use crate::host::c_text;
use crate::request::{CGeneration, CImage, CRequest, Generation, Image, Request};
use crate::result::{text_of, Output};
use crate::stream::{Part, Stream};
use crate::tensor::Tensor;

/// The handle, shared by a session and those who may cancel it.
pub(crate) struct Shared {
    handle: *mut vlm_session,
}

// SAFETY: through a shared reference nothing but vlm_cancel and vlm_cancel_reset is called, which [any] thread may; everything else
// needs `&mut Session`.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the last owner is gone, so no call runs.
        unsafe { vlm_session_destroy(self.handle) }
    }
}

/// Stops the calls of one session, from any thread.
#[derive(Clone)]
pub struct Cancel(Arc<Shared>);

impl Cancel {
    /// Stops the call that runs, or else the next one.
    pub fn cancel(&self) {
        // SAFETY: the handle is alive as long as `self`.
        unsafe { vlm_cancel(self.0.handle) }
    }

    /// Takes back a `cancel` that no call has met.
    pub fn reset(&self) {
        // SAFETY: as above.
        unsafe { vlm_cancel_reset(self.0.handle) }
    }
}

/// One conversation.
pub struct Session(Arc<Shared>);

/// What a callback leaves behind: a panic is carried over C and raised again on the other side.
struct Receiver<'a> {
    receive: &'a mut dyn FnMut(Part) -> bool,
    panic: Option<Box<dyn std::any::Any + Send>>,
}

unsafe extern "C" fn receive_part(user: *mut c_void, answer: u64, text: *const c_char, size: u64) -> i32 {
    let receiver = &mut *(user as *mut Receiver<'_>);
    let part = Part { answer: answer as usize, text: text_of(vlm_string { data: text, size }) };
    match catch_unwind(AssertUnwindSafe(|| (receiver.receive)(part))) {
        Ok(more) => more as i32,
        Err(panic) => {
            receiver.panic.get_or_insert(panic);
            0
        }
    }
}

impl Session {
    pub(crate) fn own(handle: *mut vlm_session) -> Session {
        Session(Arc::new(Shared { handle }))
    }

    /// What stops this session from another thread.
    pub fn cancel_handle(&self) -> Cancel {
        Cancel(self.0.clone())
    }

    /// Answers one turn.
    pub fn generate(&mut self, request: &Request) -> Result<Output, Error> {
        self.run(CRequest::new(request)?)
    }

    /// The same; `receive` hears the text while it grows. When it returns false the answer ends.
    pub fn generate_with(&mut self, request: &Request, mut receive: impl FnMut(Part) -> bool) -> Result<Output, Error> {
        let mut receiver = Receiver { receive: &mut receive, panic: None };
        let mut raw = CRequest::new(request)?;
        raw.raw.answer_stream = Some(receive_part);
        raw.raw.user = &mut receiver as *mut Receiver<'_> as *mut c_void;
        let result = self.run(raw);
        match receiver.panic {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    fn run(&mut self, request: CRequest<'_>) -> Result<Output, Error> {
        let mut result = ptr::null_mut();
        // SAFETY: the session is alive and, by `&mut self`, not in another call; the request lives during the call.
        call(|error| unsafe { vlm_generate(self.0.handle, &request.raw, &mut result, error) })?;
        Ok(Output::own(result))
    }

    /// Answers one turn on a thread of its own; the iterator gives the text while it grows.
    pub fn stream(&mut self, request: Request) -> Stream<'_> {
        Stream::start(self, request)
    }

    /// A second name for the session, for the thread of a stream, which holds the `&mut` meanwhile.
    pub(crate) fn lend(&mut self) -> Session {
        Session(self.0.clone())
    }

    /// Answers requests that have nothing to do with each other, together. The conversation is not touched.
    pub fn generate_batch(&mut self, requests: &[Request], generation: &Generation) -> Result<Vec<Output>, Error> {
        let made = requests.iter().map(CRequest::new).collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<*const vlm_generate_request> = made.iter().map(|request| &request.raw as *const _).collect();
        let options = CGeneration::new(generation)?;
        let mut results = vec![ptr::null_mut(); made.len()];
        // SAFETY: as in `run`; there are as many places as requests.
        call(|error| unsafe {
            vlm_generate_batch(
                self.0.handle,
                pointers.as_ptr(),
                pointers.len() as u32,
                options.as_ptr(),
                results.as_mut_ptr(),
                error,
            )
        })?;
        Ok(results.into_iter().map(Output::own).collect())
    }

    /// Visual tokens of an image as the language model gets them, `[rows, width]`. `prompt` is for connectors that read it.
    pub fn encode(&mut self, image: &Image, prompt: Option<&str>) -> Result<Tensor, Error> {
        let source = CImage::new(image)?;
        let prompt = prompt.map(c_text).transpose()?;
        let text = prompt.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let mut tensor = ptr::null_mut();
        // SAFETY: as in `run`.
        call(|error| unsafe { vlm_encode_image(self.0.handle, source.as_ptr(), text, &mut tensor, error) })?;
        Ok(Tensor::own(tensor))
    }
}

/// The callback as C calls it, without the library: Miri can run it (bindings/rust/README.md).
#[cfg(test)]
mod tests {
    use super::*;

    /// Calls back as the library does.
    fn call_back(receive: &mut dyn FnMut(Part) -> bool, text: &str) -> (i32, bool) {
        let mut receiver = Receiver { receive, panic: None };
        let user = &mut receiver as *mut Receiver<'_> as *mut c_void;
        // SAFETY: `receiver` and `text` live during the call.
        let more = unsafe { receive_part(user, 2, text.as_ptr() as *const c_char, text.len() as u64) };
        (more, receiver.panic.is_some())
    }

    #[test]
    fn parts_reach_the_closure_and_panics_do_not_reach_c() {
        let mut seen = Vec::new();
        let mut keep = |part: Part| {
            seen.push(part);
            seen.len() < 2
        };
        assert_eq!(call_back(&mut keep, "Rp."), (1, false));
        assert_eq!(call_back(&mut keep, ""), (0, false));
        assert_eq!(seen, [Part { answer: 2, text: "Rp.".into() }, Part { answer: 2, text: "".into() }]);
        std::panic::set_hook(Box::new(|_| ()));
        let outcome = call_back(&mut |_| panic!("mine"), "x");
        let _ = std::panic::take_hook();
        assert_eq!(outcome, (0, true));
    }
}
