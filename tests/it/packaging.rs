//! What a registry gets, and what a user builds of it: packages that are small and whole, and a crate that vendors one,
//! takes the model from the cache by its digest, and needs neither network nor home.
#![cfg(feature = "embed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// The packages that may be published.
const PACKAGES: [&str; 2] = ["kokoro-model", "quantizer"];

/// Far below what registries take (10 MiB): whoever depends on a crate downloads all of it.
const MOST_BYTES: u64 = 1 << 20;

/// Nobody listens there, so whoever tries to reach the network is told at once.
const NOWHERE: &str = "http://127.0.0.1:9";

const MODEL: &[u8] = b"the bytes of a model";
const PREPARED: &[u8] = b"its graph in parts";

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where what a user would build is built; what is compiled there stays for the next time.
fn folder() -> PathBuf {
    root().join("target/users")
}

/// Cargo without network, and without what it told this test.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).env("CARGO_NET_OFFLINE", "true");
    for proxy in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        cargo.env(proxy, NOWHERE);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "KOKORO_"].iter().any(|it| name.starts_with(it))
        }) {
            cargo.env_remove(name);
        }
    }
    cargo
}

#[track_caller]
fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The version of all packages.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Packages both crates, once, and builds what is in them as a registry's user would. Returns the folder of the packages,
/// where each lies unpacked as well.
fn packaged() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = folder();
        let arguments =
            ["package", "--quiet", "--allow-dirty", "--package", PACKAGES[0], "--package", PACKAGES[1]];
        let mut command = cargo(&arguments);
        command.current_dir(root()).arg("--target-dir").arg(&target).env("KOKORO_MODEL_ARTIFACT", "none");
        succeed(&mut command);
        target.join("package")
    })
}

#[test]
fn what_a_package_copies_from_outside_is_the_same() {
    for name in ["proto/onnx.proto", "LICENSE-APACHE", "LICENSE-MIT"] {
        let (ours, copy) = (root().join(name), root().join("quantizer").join(name));
        let same = fs_err::read(&ours).unwrap() == fs_err::read(&copy).unwrap();
        assert!(same, "`{}` differs\nhint: copy `{}` over it", copy.display(), ours.display());
    }
}

#[test]
fn packages_are_small_and_build_alone() {
    for name in PACKAGES {
        let package = packaged().join(format!("{name}-{}.crate", version()));
        let bytes = fs_err::metadata(&package).unwrap().len();
        println!("{name}: {bytes} bytes");
        assert!(
            bytes < MOST_BYTES,
            "`{}` has {bytes} bytes, expected fewer than {MOST_BYTES}",
            package.display()
        );
        let unpacked = packaged().join(format!("{name}-{}", version()));
        for file in ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "build.rs", "src/lib.rs"] {
            assert!(unpacked.join(file).is_file(), "`{name}` lacks `{file}`");
        }
        for file in ["tests", "artifacts", "xtask"] {
            assert!(!unpacked.join(file).exists(), "`{name}` has `{file}`");
        }
    }
}

/// A crate in a folder of its own that has all it depends on in `vendor/`, `kokoro-model` as it is packaged among it.
struct Vendored {
    folder: PathBuf,
    home: tempfile::TempDir,
}

impl Vendored {
    fn new() -> Self {
        let folder = folder().join("vendored");
        let unpacked = packaged().join(format!("kokoro-model-{}", version()));
        // Afresh, but for what was compiled.
        for name in ["vendor", ".cargo", "Cargo.lock"] {
            let path = folder.join(name);
            let _ = if path.is_dir() { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
        }
        fs_err::create_dir_all(folder.join("src")).unwrap();
        fs_err::create_dir_all(folder.join(".cargo")).unwrap();
        let source = "fn main() {\n    use kokoro_model::{METADATA, MODEL, PREPARED};\n    \
                      println!(\"{} {} {}\", METADATA.sha256, MODEL.len(), PREPARED.len());\n}\n";
        write_if_other(&folder.join("src/main.rs"), source);

        // The versions of the workspace, which are on this machine.
        fs_err::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let manifest = |dependency: &str| {
            format!(
                "[package]\nname = \"vendored\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\nkokoro-model = {dependency}\n"
            )
        };
        fs_err::write(folder.join("Cargo.toml"), manifest(&format!("{{ path = '{}' }}", unpacked.display())))
            .unwrap();
        succeed(cargo(&["vendor", "--quiet", "--versioned-dirs"]).current_dir(&folder));

        // As if a registry had it. Cargo wants the digests of a vendored package's files, or an empty list.
        let vendored = folder.join("vendor").join(unpacked.file_name().unwrap());
        copy_folder(&unpacked, &vendored);
        fs_err::write(vendored.join(".cargo-checksum.json"), "{\"files\":{}}").unwrap();
        fs_err::write(folder.join("Cargo.toml"), manifest(&format!("\"={}\"", version()))).unwrap();
        fs_err::remove_file(folder.join("Cargo.lock")).unwrap();
        let vendored = Self { folder, home: tempfile::tempdir().unwrap() };
        vendored.configure("");
        succeed(&mut vendored.cargo(&["generate-lockfile", "--quiet"]));
        vendored
    }

    /// Cargo where there is no home but an empty one.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", folder().join("vendored-target"));
        // rustup finds the toolchain by its own variables; without it, the compiler is on the path.
        let toolchains = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
        if let Some(path) = toolchains.or_else(|| Some(std::env::home_dir()?.join(".rustup"))) {
            command.env("RUSTUP_HOME", path);
        }
        let home = self.home.path();
        for name in ["HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"] {
            command.env(name, home);
        }
        command.env("CARGO_HOME", home.join("cargo"));
        command
    }

    /// What the user commits: where dependencies are, and with `more`, which artifact is embedded.
    fn configure(&self, more: &str) {
        let sources =
            "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"vendor\"\n";
        fs_err::write(self.folder.join(".cargo/config.toml"), format!("{sources}\n{more}")).unwrap();
    }

    /// Builds with the artifact that `pin` names, if any, and runs.
    fn run(&self, pin: Option<&str>, cache: &Path) -> Output {
        let env = |pin| format!("[env]\nKOKORO_MODEL_ARTIFACT = \"sha256:{pin}\"\n");
        self.configure(&pin.map(env).unwrap_or_default());
        let mut command = self.cargo(&["run", "--quiet", "--offline", "--frozen"]);
        command.env("KOKORO_MODEL_CACHE", cache).output().unwrap()
    }
}

/// An older file is compiled again only if it is another.
fn write_if_other(path: &Path, text: &str) {
    if fs_err::read_to_string(path).is_ok_and(|found| found == text) {
        return;
    }
    fs_err::write(path, text).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

/// The cache that `cargo xtask fetch --artifact` fills; returns the digest that pins the artifact.
fn fill(cache: &Path) -> String {
    let metadata = serde_json::json!({
        "name": "a.onnx", "scheme": "weights-int8", "sha256": hex(MODEL), "bytes": MODEL.len(),
        "base": {"name": "kokoro-v1.0", "sha256": "0".repeat(64), "bytes": 325_532_387, "kind": "official"},
        "recipe_sha256": "1".repeat(64), "plan_sha256": null, "tool_version": "0.1.0",
        "onnx_opset": [], "onnx_ir": 9, "inputs": [], "outputs": [], "vocabulary_size": 178,
        "sample_rate": 24_000, "precisions": [], "session_options": [], "licence": "Apache-2.0",
        "attribution": "nobody",
        "prepared": {"sha256": hex(PREPARED), "bytes": PREPARED.len(), "onnxruntime": "1.26"}
    })
    .to_string();
    for (name, bytes) in [("a.onnx", MODEL), ("a.prepared", PREPARED), ("a.json", metadata.as_bytes())] {
        let folder = cache.join(hex(bytes));
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(name), bytes).unwrap();
    }
    hex(metadata.as_bytes())
}

#[test]
fn a_vendored_crate_builds_offline_without_a_home_from_the_cache_alone() {
    let vendored = Vendored::new();
    let cache = tempfile::tempdir().unwrap();
    let pin = fill(cache.path());
    let built = vendored.run(Some(&pin), cache.path());
    let (said, errors) = (String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
    assert_eq!(said, format!("{} {} {}\n", hex(MODEL), MODEL.len(), PREPARED.len()), "{errors}");

    // What another pin names is not there, and the one message tells how to get it.
    let other = hex(b"other metadata");
    let failed = vendored.run(Some(&other), cache.path());
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success(), "{errors}");
    let place = cache.path().join(&other).display().to_string();
    for expected in [&*other, &place, "no metadata with this digest", "`cargo xtask fetch --artifact URL`"] {
        assert!(errors.contains(expected), "no `{expected}` in: {errors}");
    }
    // Without a pin there is no artifact in a package, and nothing is taken at a guess.
    let failed = vendored.run(None, cache.path());
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && errors.contains("chosen.json"), "{errors}");

    // As the documentation of a registry's packages is built: no artifact, no cache, no network.
    let mut document =
        vendored.cargo(&["doc", "--quiet", "--no-deps", "--frozen", "--package", "kokoro-model"]);
    succeed(document.env("DOCS_RS", "1").env("KOKORO_MODEL_CACHE", vendored.home.path()));
    let page = folder().join("vendored-target/doc/kokoro_model/static.MODEL.html");
    let page = fs_err::read_to_string(page).unwrap();
    assert!(
        page.contains("empty where documentation is built"),
        "the page of `MODEL` does not say that it is empty"
    );
}
