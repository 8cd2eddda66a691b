//! An archive, a GitHub and a registry of one's own, played by shell scripts that record what they are asked.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use xtask::digest::Digest;
use xtask::failure::Failure;
use xtask::fetch::Console;
use xtask::publish::{self, Archive, Means, Order, Patience, Published};

use crate::support::release::{compressed, header, tar_of};
use crate::support::{body, write_script};

pub const TAG: &str = "v0.1.0";
pub const REFERENCE: &str = "registry.example.com/speech/model:v0.1.0";
/// When the files of the archive are said to be from: 2026-01-02T03:04:05Z.
const MODIFIED: u64 = 1_767_323_045;

pub struct World {
    folder: tempfile::TempDir,
    pub order: Order,
    pub patience: Patience,
    said: Arc<Mutex<Vec<String>>>,
    verified: RefCell<Vec<PathBuf>>,
}

impl World {
    /// An archive of the published base, nothing on GitHub, `gh` logged in.
    pub fn new() -> Self {
        Self::with_base("official", "kokoro-v1.0.static-int8.tar.zst")
    }

    pub fn with_base(kind: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("github");
        fs_err::create_dir(&state).unwrap();
        fs_err::write(state.join("token"), "").unwrap();
        let script = |text: &str| text.replace("STATE", &state.display().to_string());
        write_script(&folder.path().join("programs/gh"), &script(include_str!("gh.sh")));
        write_script(&folder.path().join("programs/oras"), &script(include_str!("oras.sh")));
        // A space, a quote and a hash sign, which shells and `gh` take for more than a letter.
        let archive = folder.path().join("my # user's folder").join(name);
        write_archive(&archive, kind, b"model");
        let order = Order {
            archive: Archive::open(&archive).unwrap(),
            tag: TAG.parse().unwrap(),
            repository: "owner/name".parse().unwrap(),
            keep_draft: false,
            replace: false,
            oci: None,
            again: "cargo xtask publish --tag v0.1.0".to_owned(),
        };
        let patience = Patience { settle: Duration::from_millis(1), ..Patience::default() };
        Self { folder, order, patience, said: Arc::default(), verified: RefCell::default() }
    }

    /// Publishes; only the very archive passes verification.
    pub fn publish(&self) -> Result<Published> {
        let good = self.order.archive.sha256;
        self.publish_verified_by(|path| {
            let found = Digest::of_file(path)?;
            if found == good { Ok(()) } else { Err(anyhow!("not the archive").context(Failure::Fetch)) }
        })
    }

    pub fn publish_verified_by(&self, verify: impl Fn(&Path) -> Result<()>) -> Result<Published> {
        let said = Arc::clone(&self.said);
        let means = Means {
            folder: self.work(),
            search_path: Some(self.folder.path().join("programs").into_os_string()),
            patience: self.patience,
            console: Console::notices(move |line| said.lock().unwrap().push(line.to_owned())),
            verify: &|path| {
                self.verified.borrow_mut().push(path.to_owned());
                verify(path)
            },
        };
        publish::publish(&self.order, &means)
    }

    /// Where the work in progress lies.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// Has a program misbehave from now on; with an empty text it does not.
    pub fn fault(&self, fault: &str) {
        fs_err::write(self.state().join("fault"), fault).unwrap();
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("github")
    }

    pub fn remove_program(&self, name: &str) {
        fs_err::remove_file(self.folder.path().join("programs").join(name)).unwrap();
    }

    /// Whether the release is a draft; `None` where there is none.
    pub fn is_draft(&self) -> Option<bool> {
        let text = fs_err::read_to_string(self.state().join("release")).ok()?;
        Some(text.trim().parse().unwrap())
    }

    /// Makes a release with these files.
    pub fn release(&self, is_draft: bool, files: &[(&str, &[u8])]) {
        fs_err::create_dir_all(self.state().join("assets")).unwrap();
        fs_err::write(self.state().join("release"), is_draft.to_string()).unwrap();
        for (name, bytes) in files {
            fs_err::write(self.asset(name), bytes).unwrap();
        }
    }

    pub fn asset(&self, name: &str) -> PathBuf {
        self.state().join("assets").join(name)
    }

    pub fn archive_bytes(&self) -> Vec<u8> {
        fs_err::read(&self.order.archive.path).unwrap()
    }

    pub fn archive_name(&self) -> &str {
        &self.order.archive.name
    }

    pub fn checksum(&self) -> (String, Vec<u8>) {
        let archive = &self.order.archive;
        (format!("{}.sha256", archive.name), format!("{}  {}\n", archive.sha256, archive.name).into_bytes())
    }

    /// Whether the release is public, with exactly the right two files.
    pub fn is_good(&self) -> bool {
        let (name, text) = self.checksum();
        self.is_draft() == Some(false)
            && fs_err::read_dir(self.state().join("assets")).unwrap().count() == 2
            && fs_err::read(self.asset(self.archive_name())).unwrap() == self.archive_bytes()
            && fs_err::read(self.asset(&name)).unwrap() == text
    }

    /// Each call so far: the folder it was made in, the program and its arguments.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let text = fs_err::read_to_string(self.state().join("calls")).unwrap_or_default();
        let calls = text.split("--end--\n").filter(|call| !call.is_empty());
        calls.map(|call| call.lines().map(str::to_owned).collect()).collect()
    }

    pub fn forget_calls(&self) {
        fs_err::write(self.state().join("calls"), "").unwrap();
    }

    /// The calls so far, each as its first words: `release view`.
    pub fn steps(&self) -> Vec<String> {
        self.calls().iter().map(|call| call[2..4.min(call.len())].join(" ")).collect()
    }

    /// The calls so far that change something.
    pub fn writes(&self) -> Vec<String> {
        let writes = ["release create", "release upload", "release edit", "push"];
        self.steps().into_iter().filter(|step| writes.iter().any(|write| step.starts_with(write))).collect()
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    pub fn verified(&self) -> usize {
        self.verified.borrow().len()
    }

    pub fn left_nothing(&self) -> bool {
        let left: Vec<_> = fs_err::read_dir(self.work()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left == ["publish.lock"]
    }
}

/// An archive as `package` lays it out, with as much in it as is read here.
pub fn write_archive(path: &Path, kind: &str, model: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let top = name.strip_suffix(".tar.zst").unwrap();
    let stem = top.strip_suffix(".unofficial").unwrap_or(top);
    let (base, scheme) = stem.rsplit_once('.').unwrap();
    let sha256 = Digest::of(model);
    let metadata = serde_json::json!({
        "name": format!("{stem}.onnx"), "scheme": scheme, "sha256": sha256, "bytes": model.len(),
        "base": { "name": base, "sha256": Digest::of(b"base"), "bytes": 1, "kind": kind },
        "recipe_sha256": sha256, "plan_sha256": null, "tool_version": "0.1.0+0123456789ab", "onnx_opset": [],
        "onnx_ir": 9, "inputs": [], "outputs": [], "vocabulary_size": 178, "sample_rate": 24000,
        "precisions": [], "session_options": [], "licence": "Apache-2.0 AND MIT", "attribution": "made by nobody",
        "prepared": null,
    });
    let check = serde_json::json!({
        "name": "rms", "value": 1, "threshold": 0, "bound": "at-least", "unit": "", "pass": true, "detail": null,
    });
    let report = |gate: &str| serde_json::json!({ "gate": gate, "pass": true, "checks": [check, check] });
    let gates = serde_json::json!({
        "version": 1, "provider": report("provider"), "smoke": report("smoke"), "fidelity": report("fidelity"),
        "bench_passed": true,
    });
    let (metadata, gates) = (metadata.to_string().into_bytes(), gates.to_string().into_bytes());
    // Enough that a truncated archive is shorter than what is left of it.
    let noise = body(10_000);
    let (json, onnx) = (format!("{stem}.json"), format!("{stem}.onnx"));
    let mut files =
        [("gates.json", &gates[..]), (&json, &metadata[..]), (&onnx, model), ("noise", &noise[..])];
    files.sort_by_key(|(name, _)| *name);
    let members = files.map(|(name, bytes)| {
        (header(&format!("{top}/{name}"), bytes.len(), |it| it.set_mtime(MODIFIED)), bytes)
    });
    fs_err::write(path, compressed(&tar_of(members))).unwrap();
}

/// The whole message, as the user sees it.
pub fn message(outcome: Result<Published>) -> String {
    format!("{:#}", outcome.context("").unwrap_err()).trim_start_matches(": ").to_owned()
}
