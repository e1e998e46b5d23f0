//! Results as Rust values. The type is called Output, because every Rust program has a Result already.

use std::mem::{size_of, zeroed};
use std::ptr::{self, NonNull};
use vlm_sys::*;

use crate::error::{call, check, Error};
use crate::host::c_text;
use crate::tensor::Tensor;

/// One result.
pub struct Output {
    handle: NonNull<vlm_result>,
}

// SAFETY: a result does not change, and vlm/host.h lets [any] thread read it.
unsafe impl Send for Output {}
unsafe impl Sync for Output {}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    None,
    StopToken,
    StopString,
    Length,
}

/// One generated token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub id: i32,
    pub log_probability: f32,
    pub piece: String,
}

/// One answer: the only one, or that of one row of text of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    /// Index of the image of the request; `None`: none, or all of them.
    pub image: Option<usize>,
    /// Left, top, right, bottom in pixels of that image.
    pub region: [f32; 4],
    pub finish: Finish,
    pub confidence: Option<f64>,
    pub tokens: Vec<Token>,
}

/// What a result cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub visual_tokens: i64,
    pub merged_tokens: i64,
    pub pruned_tokens: i64,
    pub text_tokens: i64,
    pub generated_tokens: i64,
    pub reused_tokens: i64,
    pub kv_bytes: i64,
}

impl Output {
    pub(crate) fn own(handle: *mut vlm_result) -> Output {
        Output { handle: NonNull::new(handle).expect("a result after success") }
    }

    fn raw(&self) -> *const vlm_result {
        self.handle.as_ptr()
    }

    /// Text of all answers.
    pub fn text(&self) -> String {
        // SAFETY: the result is alive.
        text_of(unsafe { vlm_result_text(self.raw()) })
    }

    /// The whole result as JSON.
    pub fn json(&self) -> String {
        // SAFETY: the result is alive.
        text_of(unsafe { vlm_result_json(self.raw()) })
    }

    /// One value of that JSON by its JSON pointer, "/drugs/0/name": strings as they are, null as an empty text, the rest as JSON.
    pub fn find(&self, path: &str) -> Option<String> {
        let path = c_text(path).ok()?;
        let mut value = vlm_string { data: ptr::null(), size: 0 };
        // SAFETY: the result is alive, and the text is copied at once.
        match unsafe { vlm_result_find(self.raw(), path.as_ptr(), &mut value) } {
            VLM_STATUS_OK => Some(text_of(value)),
            _ => None,
        }
    }

    /// The answers with their tokens.
    pub fn answers(&self) -> Result<Vec<Answer>, Error> {
        // SAFETY: the result is alive; so below.
        (0..unsafe { vlm_result_answer_count(self.raw()) }).map(|index| self.answer(index)).collect()
    }

    fn answer(&self, index: u64) -> Result<Answer, Error> {
        // SAFETY: all zeros is a value of every struct of this ABI.
        let mut answer: vlm_result_answer = unsafe { zeroed() };
        answer.struct_size = size_of::<vlm_result_answer>() as u32;
        answer.abi_version = VLM_ABI_VERSION;
        check(unsafe { vlm_result_answer_at(self.raw(), index, &mut answer) }, "no such answer")?;
        let tokens = answer.token_begin..answer.token_begin + answer.token_count;
        Ok(Answer {
            text: text_of(answer.text),
            image: usize::try_from(answer.image).ok(),
            region: answer.region,
            finish: match answer.finish_reason {
                VLM_FINISH_STOP_TOKEN => Finish::StopToken,
                VLM_FINISH_STOP_STRING => Finish::StopString,
                VLM_FINISH_LENGTH => Finish::Length,
                _ => Finish::None,
            },
            confidence: Some(answer.confidence).filter(|c| *c >= 0.0),
            tokens: tokens.map(|token| self.token(token)).collect::<Result<_, _>>()?,
        })
    }

    fn token(&self, index: u64) -> Result<Token, Error> {
        // SAFETY: as above.
        let mut token: vlm_result_token = unsafe { zeroed() };
        token.struct_size = size_of::<vlm_result_token>() as u32;
        token.abi_version = VLM_ABI_VERSION;
        check(unsafe { vlm_result_token_at(self.raw(), index, &mut token) }, "no such token")?;
        Ok(Token { id: token.id, log_probability: token.log_probability, piece: text_of(token.piece) })
    }

    /// What the result cost.
    pub fn usage(&self) -> Result<Usage, Error> {
        // SAFETY: as above.
        let mut usage: vlm_result_usage = unsafe { zeroed() };
        usage.struct_size = size_of::<vlm_result_usage>() as u32;
        usage.abi_version = VLM_ABI_VERSION;
        check(unsafe { vlm_result_get_usage(self.raw(), &mut usage) }, "no usage")?;
        Ok(Usage {
            visual_tokens: usage.visual_tokens,
            merged_tokens: usage.merged_tokens,
            pruned_tokens: usage.pruned_tokens,
            text_tokens: usage.text_tokens,
            generated_tokens: usage.generated_tokens,
            reused_tokens: usage.reused_tokens,
            kv_bytes: usage.kv_bytes,
        })
    }

    /// "image_embeddings" (index 0) of models that embed, "output" of answer `index` of models that do not generate.
    pub fn tensor(&self, name: &str, index: u64) -> Result<Tensor, Error> {
        let name = c_text(name)?;
        let mut tensor = ptr::null_mut();
        // SAFETY: the result is alive.
        call(|error| unsafe { vlm_result_tensor(self.raw(), name.as_ptr(), index, &mut tensor, error) })?;
        Ok(Tensor::own(tensor))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { vlm_result_destroy(self.handle.as_ptr()) }
    }
}

pub(crate) fn text_of(view: vlm_string) -> String {
    if view.size == 0 {
        return String::new();
    }
    // SAFETY: the library's text lives as long as the handle that the caller borrows.
    let bytes = unsafe { std::slice::from_raw_parts(view.data as *const u8, view.size as usize) };
    String::from_utf8_lossy(bytes).into_owned()
}
