//! A small model that went through the whole main job once, and releases of it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kokoro_model::{Chosen, Metadata};
use serde_json::Value;
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::files::{read_json, write_json};
use xtask::gates::ExecutionProvider;
use xtask::lock::{Lock, LockedArtifact, LockedBase, LockedRuntime};
use xtask::recipe::RuntimeRecipe;
use xtask::release::{Against, Finding, Nominee, Outcome, Package, Signer, Verdict, package, verify};
use xtask::results::Results;
use xtask::scheme::SchemeName;
use xtask::workspace::Workspace;

use crate::support::checkout::Checkout;
use crate::support::program::Program;

/// The artifact that every test packs.
pub const STEM: &str = "clear.weights-int8";

const RESULTS: &str = "quantization_comparison_results.json";

/// Artifacts in a folder of their own, with a lock that has them.
pub struct Fixture {
    pub program: Program,
}

impl Fixture {
    /// Of a base that is a file of the user's. Few sentences were said, which everything but the sound itself denies.
    pub fn local() -> Self {
        static MADE: LazyLock<Checkout> =
            LazyLock::new(|| Checkout::having_made(&[SchemeName::WeightsInt8], 1));
        let fixture = Self { program: Program::with_artifacts_of(MADE.artifacts().folder()) };
        let workspace = fixture.workspace();
        let recipe = workspace.recipe().unwrap().sha256;
        let corpus = Digest::of_file(&workspace.models().join("corpus.toml")).unwrap();
        fixture.edit_metadata(|metadata| metadata["recipe_sha256"] = recipe.to_string().into());
        fixture.edit(RESULTS, |results| {
            results["recipe_sha256"] = recipe.to_string().into();
            results["corpus_sha256"] = corpus.to_string().into();
        });
        fixture.lock_again();
        fixture
    }

    /// Of a base of this kind, as far as everything says that is there.
    pub fn of_kind(kind: &str) -> Self {
        let fixture = Self::local();
        fixture.edit_metadata(|metadata| metadata["base"]["kind"] = kind.into());
        fixture.edit(RESULTS, |results| results["base"]["kind"] = kind.into());
        fixture.lock_again();
        fixture
    }

    pub fn official() -> Self {
        Self::of_kind("official")
    }

    pub fn folder(&self) -> PathBuf {
        self.program.path("artifacts")
    }

    pub fn lock(&self) -> PathBuf {
        self.program.path("test.lock.toml")
    }

    pub fn workspace(&self) -> Workspace {
        Workspace::of_this_build(Environment::default()).with_artifacts(&self.folder())
    }

    /// Changes a JSON file in the artifacts folder.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.folder().join(name);
        let mut value: Value = read_json(&path).unwrap();
        change(&mut value);
        write_json(&path, &value).unwrap();
    }

    /// Changes the metadata, which stays in the order of its fields, and makes `chosen.json` fit.
    pub fn edit_metadata(&self, change: impl FnOnce(&mut Value)) {
        let path = self.folder().join(format!("{STEM}.json"));
        self.edit(&format!("{STEM}.json"), change);
        let metadata: Metadata = read_json(&path).unwrap();
        write_json(&path, &metadata).unwrap();
        let sha256 = Digest::of_file(&path).unwrap().to_string();
        self.edit("chosen.json", |chosen| {
            chosen["metadata_sha256"] = sha256.clone().into();
            chosen["providers"]["cpu"]["metadata_sha256"] = sha256.into();
        });
    }

    /// Writes a lock that has what is there.
    pub fn lock_again(&self) {
        self.lock_of(&self.locked());
    }

    /// Writes this lock.
    pub fn lock_of(&self, lock: &Lock) {
        fs_err::write(self.lock(), toml::to_string(lock).unwrap()).unwrap();
    }

    pub fn locked(&self) -> Lock {
        let workspace = self.workspace();
        let recipe = workspace.recipe().unwrap();
        let of = |path: PathBuf| Digest::of_file(&path).unwrap();
        let models = workspace.models();
        let results = Results::read(&workspace.artifacts().results()).unwrap();
        let runtime = RuntimeRecipe::load(&models.join("onnxruntime.toml")).unwrap();
        let chosen: Chosen = read_json(&self.folder().join("chosen.json")).unwrap();
        let metadata: Metadata = read_json(&self.folder().join(&chosen.metadata)).unwrap();
        let artifact = LockedArtifact {
            sha256: metadata.sha256.parse().unwrap(),
            bytes: metadata.bytes,
            prepared: metadata.prepared.as_ref().unwrap().sha256.parse().unwrap(),
            metadata: chosen.metadata_sha256.parse().unwrap(),
        };
        let base = LockedBase {
            sha256: metadata.base.sha256.parse().unwrap(),
            artifact: [(metadata.scheme.to_string(), artifact)].into(),
        };
        let mut sources: BTreeMap<String, Digest> =
            recipe.files.iter().map(|file| (file.name.clone(), file.sha256)).collect();
        sources.extend(recipe.voices.sha256.clone());
        Lock {
            version: 1,
            tool: quantizer::VERSION.to_owned(),
            recipe: recipe.sha256,
            plan: of(workspace.plan(&recipe)),
            corpus: of(models.join("corpus.toml")),
            proto: of(workspace.root().join("proto/onnx.proto")),
            proof: None,
            onnxruntime: LockedRuntime {
                version: runtime.version,
                recipe: of(models.join("onnxruntime.toml")),
                library: [("linux-x86_64".to_owned(), results.runtime.sha256)].into(),
            },
            sources,
            base: [("clear".to_owned(), base)].into(),
        }
    }

    pub fn nominee(&self) -> anyhow::Result<Nominee> {
        Nominee::read(&self.workspace(), Some(&self.lock()), ExecutionProvider::Cpu)
    }

    /// Packs into a folder of its own, whatever the base.
    pub fn package(&self, signer: Option<&Signer>) -> Package {
        let output = self.program.path("output");
        package(&self.nominee().unwrap(), &self.workspace(), signer, true, &output).unwrap()
    }

    /// Packs, and unpacks again.
    pub fn unpacked(&self, signer: Option<&Signer>) -> Unpacked {
        unpack(&self.package(signer).path)
    }
}

/// A release in a folder.
pub struct Unpacked {
    folder: tempfile::TempDir,
    name: String,
}

/// Unpacks an archive as its user would.
pub fn unpack(archive: &Path) -> Unpacked {
    let folder = tempfile::tempdir().unwrap();
    let decoder = zstd::Decoder::new(fs_err::File::open(archive).unwrap()).unwrap();
    tar::Archive::new(decoder).unpack(folder.path()).unwrap();
    let entry = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    Unpacked { name: entry.file_name().into_string().unwrap(), folder }
}

impl Unpacked {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every file by its path below the folder, in order.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(), "", &mut files);
        files
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.path().join(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs_err::write(self.path().join(name), bytes).unwrap();
    }

    pub fn verdict(&self) -> Verdict {
        verify(&self.path(), Against::default()).unwrap()
    }

    /// Makes `SHA256SUMS` fit again, as somebody would who forges a release; the comment of an unofficial one stays.
    pub fn seal(&self) {
        let sums = String::from_utf8(self.read("SHA256SUMS")).unwrap();
        let comment = sums.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
        let sealed = |path: &String| path.starts_with("SHA256SUMS");
        let files = self.files().into_iter().filter(|(path, _)| !sealed(path));
        let lines = files.map(|(path, bytes)| format!("{}  {path}", Digest::of(&bytes)));
        let lines: Vec<String> = comment.chain(lines).collect();
        let text = lines.join("\n") + "\n";
        self.write("SHA256SUMS", text);
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs_err::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs_err::read(entry.path()).unwrap());
        }
    }
}

/// Everything that said no, a line each.
pub fn refusals(verdict: &Verdict) -> String {
    let no = verdict.findings.iter().filter(|finding| finding.outcome == Outcome::No);
    let lines: Vec<String> = no.map(Finding::told).collect();
    assert_eq!(verdict.verified, lines.is_empty());
    lines.join("\n")
}

/// The contents of an archive, decompressed and no further.
pub fn tar_of(archive: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(fs_err::File::open(archive).unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
