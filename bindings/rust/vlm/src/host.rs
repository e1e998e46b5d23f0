//! Hosts and pipelines.

use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::raw::{c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::ptr::{self, NonNull};
use vlm_sys::*;

use crate::error::{call, Code, Error};
use crate::session::Session;

/// Version of the library, "0.1.0".
pub fn version() -> String {
    // SAFETY: a static text.
    unsafe { CStr::from_ptr(vlm_version()) }.to_string_lossy().into_owned()
}

/// Version of the ABI that the library was built with.
pub fn abi_version() -> u32 {
    // SAFETY: no arguments.
    unsafe { vlm_abi_version() }
}

/// Text that C can take: without a NUL inside.
pub(crate) fn c_text(bytes: impl Into<Vec<u8>>) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| Error::new(Code::InvalidArgument, "a text has a NUL byte inside"))
}

/// How important a log message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

type Log = Box<dyn Fn(LogLevel, &str, &str) + Send + Sync>;

/// Settings and log.
pub struct Host {
    handle: NonNull<vlm_host>,
    _log: Option<Box<Log>>, // behind the handle, so that it outlives the last call to it
}

// SAFETY: vlm/host.h: [any] thread may use a host, several at once.
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

unsafe extern "C" fn receive_log(user: *mut c_void, level: i32, source: *const c_char, message: *const c_char) {
    let level = match level {
        VLM_LOG_DEBUG => LogLevel::Debug,
        VLM_LOG_INFO => LogLevel::Info,
        VLM_LOG_WARNING => LogLevel::Warning,
        _ => LogLevel::Error,
    };
    // A panic must not unwind through C; a log line is not worth ending the process for.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let log = &*(user as *const Log);
        log(level, &CStr::from_ptr(source).to_string_lossy(), &CStr::from_ptr(message).to_string_lossy());
    }));
}

impl Host {
    /// A host with the usual settings.
    pub fn new() -> Result<Host, Error> {
        Host::create(None, None)
    }

    /// A host that searches `plugin_folder` first.
    pub fn with_plugins(plugin_folder: impl AsRef<Path>) -> Result<Host, Error> {
        Host::create(Some(plugin_folder.as_ref()), None)
    }

    /// A host whose log goes to `log` (level, source, message), from any thread. It must not call this crate.
    pub fn with_log(
        plugin_folder: Option<&Path>,
        log: impl Fn(LogLevel, &str, &str) + Send + Sync + 'static,
    ) -> Result<Host, Error> {
        Host::create(plugin_folder, Some(Box::new(Box::new(log))))
    }

    fn create(plugin_folder: Option<&Path>, log: Option<Box<Log>>) -> Result<Host, Error> {
        let folder = plugin_folder.map(|path| c_text(path.as_os_str().as_bytes())).transpose()?;
        let options = vlm_host_options {
            struct_size: size_of::<vlm_host_options>() as u32,
            abi_version: VLM_ABI_VERSION,
            plugin_folder: folder.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            log: log.as_ref().map(|_| receive_log as unsafe extern "C" fn(_, _, _, _)),
            user: log.as_ref().map_or(ptr::null_mut(), |log| &**log as *const Log as *mut c_void),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: `options` and what it points at live during the call; the log lives as long as the host.
        call(|error| unsafe { vlm_host_create(&options, &mut handle, error) })?;
        Ok(Host { handle: NonNull::new(handle).expect("a host after success"), _log: log })
    }

    /// Opens a manifest file or a checkpoint folder.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Pipeline, Error> {
        self.open_with_progress(path, |_, _| ())
    }

    /// The same; `progress` hears how many parts of how many are loaded.
    pub fn open_with_progress(&self, path: impl AsRef<Path>, progress: impl FnMut(u64, u64)) -> Result<Pipeline, Error> {
        let path = c_text(path.as_ref().as_os_str().as_bytes())?;
        self.open_by(progress, |report, user, pipeline, error| {
            // SAFETY: the host is alive, and the texts and `user` live during the call.
            unsafe { vlm_pipeline_open(self.handle.as_ptr(), path.as_ptr(), report, user, pipeline, error) }
        })
    }

    /// Opens a manifest given as JSON; relative paths in it are relative to `base_folder`.
    pub fn open_json(&self, json: &str, base_folder: impl AsRef<Path>) -> Result<Pipeline, Error> {
        let (json, base) = (c_text(json)?, c_text(base_folder.as_ref().as_os_str().as_bytes())?);
        self.open_by(|_, _| (), |report, user, pipeline, error| {
            // SAFETY: as above.
            unsafe {
                vlm_pipeline_open_json(self.handle.as_ptr(), json.as_ptr(), base.as_ptr(), report, user, pipeline, error)
            }
        })
    }

    fn open_by<P: FnMut(u64, u64)>(
        &self,
        mut progress: P,
        open: impl FnOnce(vlm_progress_fn, *mut c_void, *mut *mut vlm_pipeline, *mut *mut vlm_error) -> vlm_status,
    ) -> Result<Pipeline, Error> {
        unsafe extern "C" fn report<P: FnMut(u64, u64)>(user: *mut c_void, done: u64, total: u64) {
            let _ = catch_unwind(AssertUnwindSafe(|| (*(user as *mut P))(done, total)));
        }
        let mut handle = ptr::null_mut();
        let user = &mut progress as *mut P as *mut c_void;
        call(|error| open(Some(report::<P>), user, &mut handle, error))?;
        Ok(Pipeline { handle: NonNull::new(handle).expect("a pipeline after success") })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { vlm_host_destroy(self.handle.as_ptr()) }
    }
}

/// An opened manifest. Lives on in the library while a session uses it.
pub struct Pipeline {
    handle: NonNull<vlm_pipeline>,
}

// SAFETY: vlm/host.h: [any] thread may use a pipeline, several at once.
unsafe impl Send for Pipeline {}
unsafe impl Sync for Pipeline {}

impl Pipeline {
    /// Starts a conversation.
    pub fn session(&self) -> Result<Session, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: the pipeline is alive.
        call(|error| unsafe { vlm_session_create(self.handle.as_ptr(), &mut handle, error) })?;
        Ok(Session::own(handle))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { vlm_pipeline_destroy(self.handle.as_ptr()) }
    }
}
