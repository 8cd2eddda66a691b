//! What the engine's tests share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::PathBuf;

use kokoro_model::Runtime;

#[path = "../../build/settings.rs"]
mod settings;

/// The library that `cargo xtask test` fetched and names, else one that it left in the cache.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("KOKORO_TEST_ONNXRUNTIME") {
        return PathBuf::from(path);
    }
    let cache = settings::cache(|name| std::env::var_os(name), cfg!(windows));
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let found = cache.as_ref().and_then(|cache| {
        let digests = fs_err::read_dir(cache).ok()?.flatten();
        let files = digests.filter_map(|digest| fs_err::read_dir(digest.path()).ok()).flatten().flatten();
        // On Unix the version follows the suffix or stands before it.
        let stem = name.split('.').next()?;
        let mut libraries: Vec<_> = files
            .map(|file| file.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.split('.').next() == Some(stem) && name.contains(std::env::consts::DLL_SUFFIX)
            })
            .collect();
        libraries.sort();
        libraries.pop()
    });
    found.unwrap_or_else(|| {
        panic!(
            "no ONNX Runtime to test with: `KOKORO_TEST_ONNXRUNTIME` is not set and the cache {cache:?} has no \
             `{name}`\nhint: `cargo xtask test` fetches it and tests"
        )
    })
}

pub fn runtime() -> Runtime {
    Runtime::from_path(library()).unwrap()
}
