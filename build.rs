//! Generates what the library includes: the voices of the recipe, with feature `voices` their styles, with feature
//! `embed` the chosen artifact, with feature `ort` which ONNX Runtime library is pinned for the target, and with feature
//! `bundle-runtime` that library. Digests are checked before anything is embedded.
//!
//! It never opens a socket: a file that is not on this machine is an error that tells how to get it.

#[cfg_attr(
    not(all(feature = "embed", feature = "voices", feature = "bundle-runtime")),
    allow(dead_code, reason = "what embeds a model, voices and a library share modules")
)]
#[path = "build/mod.rs"]
mod build;

use std::error::Error;

use build::settings::{Settings, WATCHED};

fn main() {
    for path in ["build.rs", "build", "src/metadata.rs", "src/cache_folder.rs", build::recipe::PATH] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in WATCHED {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let settings = Settings::read(|name| std::env::var_os(name));
    if let Err(message) = generate(&settings) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn generate(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let recipe = build::recipe::read(&settings.package.join(build::recipe::PATH))?;
    fs_err::write(settings.out.join("voices.rs"), build::voices::generate(&recipe.voices)?)?;
    #[cfg(feature = "embed")]
    embed_model(settings)?;
    #[cfg(feature = "voices")]
    embed_voices(settings, &recipe)?;
    #[cfg(feature = "ort")]
    pin_runtime(settings)?;
    Ok(())
}

#[cfg(feature = "voices")]
fn embed_voices(settings: &Settings, recipe: &build::recipe::Recipe) -> Result<(), Box<dyn Error>> {
    let packed = build::packing::pack(settings, &recipe.voices)?;
    for path in &packed.watched {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    fs_err::write(settings.out.join("voices.bin"), &packed.bytes)?;
    fs_err::write(settings.out.join("packed.rs"), packed.source())?;
    Ok(())
}

#[cfg(feature = "embed")]
fn embed_model(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let artifact = build::artifact::resolve(settings)?;
    let source = build::embed::generate(artifact.as_ref(), &settings.target)?;
    fs_err::write(settings.out.join("embedded.rs"), source)?;
    if let Some(artifact) = artifact {
        for path in &artifact.watched {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        // Through `links`, dependants' build scripts read these as `DEP_KOKORO_MODEL_SHA256` and `_PATH`.
        println!("cargo::metadata=sha256={}", artifact.metadata.sha256);
        println!("cargo::metadata=path={}", artifact.copy.display());
    }
    Ok(())
}

#[cfg(feature = "ort")]
fn pin_runtime(settings: &Settings) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", build::runtime::PATH);
    let pinned = build::runtime::pinned(&settings.package.join(build::runtime::PATH), &settings.target)?;
    #[cfg(feature = "bundle-runtime")]
    let bundle = build::bundle::resolve(pinned.as_ref(), settings)?;
    #[cfg(feature = "bundle-runtime")]
    let compressed = bundle.as_ref().map(|bundle| {
        println!("cargo::rerun-if-changed={}", bundle.library.display());
        bundle.compressed.as_path()
    });
    #[cfg(not(feature = "bundle-runtime"))]
    let compressed = None;
    let source = build::runtime::generate(pinned.as_ref(), compressed)?;
    fs_err::write(settings.out.join("runtime.rs"), source)?;
    Ok(())
}
