//! Errors: a canonical status code and a sentence.

use std::ffi::CStr;
use std::fmt;
use std::ptr;
use vlm_sys::*;

/// What kind of failure it was; the set of gRPC and absl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum Code {
    Cancelled = VLM_STATUS_CANCELLED,
    Unknown = VLM_STATUS_UNKNOWN,
    InvalidArgument = VLM_STATUS_INVALID_ARGUMENT,
    DeadlineExceeded = VLM_STATUS_DEADLINE_EXCEEDED,
    NotFound = VLM_STATUS_NOT_FOUND,
    AlreadyExists = VLM_STATUS_ALREADY_EXISTS,
    PermissionDenied = VLM_STATUS_PERMISSION_DENIED,
    ResourceExhausted = VLM_STATUS_RESOURCE_EXHAUSTED,
    FailedPrecondition = VLM_STATUS_FAILED_PRECONDITION,
    Aborted = VLM_STATUS_ABORTED,
    OutOfRange = VLM_STATUS_OUT_OF_RANGE,
    Unimplemented = VLM_STATUS_UNIMPLEMENTED,
    Internal = VLM_STATUS_INTERNAL,
    Unavailable = VLM_STATUS_UNAVAILABLE,
    DataLoss = VLM_STATUS_DATA_LOSS,
    Unauthenticated = VLM_STATUS_UNAUTHENTICATED,
}

impl Code {
    fn of(status: vlm_status) -> Code {
        match status {
            VLM_STATUS_CANCELLED => Code::Cancelled,
            VLM_STATUS_UNKNOWN => Code::Unknown,
            VLM_STATUS_INVALID_ARGUMENT => Code::InvalidArgument,
            VLM_STATUS_DEADLINE_EXCEEDED => Code::DeadlineExceeded,
            VLM_STATUS_NOT_FOUND => Code::NotFound,
            VLM_STATUS_ALREADY_EXISTS => Code::AlreadyExists,
            VLM_STATUS_PERMISSION_DENIED => Code::PermissionDenied,
            VLM_STATUS_RESOURCE_EXHAUSTED => Code::ResourceExhausted,
            VLM_STATUS_FAILED_PRECONDITION => Code::FailedPrecondition,
            VLM_STATUS_ABORTED => Code::Aborted,
            VLM_STATUS_OUT_OF_RANGE => Code::OutOfRange,
            VLM_STATUS_UNIMPLEMENTED => Code::Unimplemented,
            VLM_STATUS_UNAVAILABLE => Code::Unavailable,
            VLM_STATUS_DATA_LOSS => Code::DataLoss,
            VLM_STATUS_UNAUTHENTICATED => Code::Unauthenticated,
            _ => Code::Internal,
        }
    }

    /// "NOT_FOUND"
    pub fn name(self) -> &'static str {
        // SAFETY: a static ASCII text.
        unsafe { CStr::from_ptr(vlm_status_name(self as i32)) }.to_str().unwrap_or("INTERNAL")
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, message: message.into() }
    }

    /// What kind of failure it was.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Which file and field, what was found, what was expected, what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

/// Calls a function whose last parameter is a `vlm_error**`.
pub(crate) fn call(function: impl FnOnce(*mut *mut vlm_error) -> vlm_status) -> Result<(), Error> {
    let mut error = ptr::null_mut();
    let status = function(&mut error);
    if status == VLM_STATUS_OK {
        return Ok(());
    }
    // SAFETY: a failed call has set `error`, or left it NULL, which both functions take.
    let message = unsafe {
        let text = CStr::from_ptr(vlm_error_message(error)).to_string_lossy().into_owned();
        vlm_error_destroy(error);
        text
    };
    Err(Error::new(Code::of(status), message))
}

/// For functions that report no more than a status.
pub(crate) fn check(status: vlm_status, what: &str) -> Result<(), Error> {
    if status == VLM_STATUS_OK {
        Ok(())
    } else {
        Err(Error::new(Code::of(status), what))
    }
}
