//! Declarations of vlm/host.h as they are. The crate `vlm` makes safe Rust of them.
#![allow(non_camel_case_types)]

mod raw;
pub use raw::*;
