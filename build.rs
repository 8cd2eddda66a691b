//! With feature `embed`: finds the chosen artifact, checks its digest and embeds it.
//!
//! It never opens a socket: an artifact that is not on this machine is an error that tells how to make it.

#[cfg(feature = "embed")]
#[path = "build/mod.rs"]
mod build;

#[cfg(not(feature = "embed"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

#[cfg(feature = "embed")]
fn main() {
    use build::settings::{Settings, WATCHED};

    for path in ["build.rs", "build", "src/metadata.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in WATCHED {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let settings = Settings::read(|name| std::env::var_os(name));
    if let Err(message) = embed(&settings) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

#[cfg(feature = "embed")]
fn embed(settings: &build::settings::Settings) -> Result<(), Box<dyn std::error::Error>> {
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
