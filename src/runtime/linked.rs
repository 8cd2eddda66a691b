//! The ONNX Runtime that the program is linked with.
#![allow(unsafe_code, reason = "the version is text behind a pointer")]

use std::ffi::CStr;

/// The minor version of the library, if that says that it is an ONNX Runtime 1.x.
pub(super) fn minor() -> Option<u32> {
    // SAFETY: the function takes nothing and returns a table that lives as long as the program, or null.
    let base = unsafe { ort::sys::OrtGetApiBase().as_ref() }?;
    // SAFETY: the text ends with a zero and is never freed.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    version.to_str().ok()?.strip_prefix("1.")?.split('.').next()?.parse().ok()
}
