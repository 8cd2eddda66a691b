//! The report in a real browser: Chromium without a window opens the page from the disk at the width of a phone and
//! of a desk, and says what it found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::checkout::Checkout;
use crate::support::program::Program;
use kokoro_model::Evidence;
use serde::Deserialize;
use xtask::choice::Choice;
use xtask::environment::Environment;
use xtask::gates::{Check, ExecutionProvider, Gate, Interval, Report};
use xtask::results::{
    GateResults, ProviderBenchmark, ProviderGates, ProviderModel, ProviderResult, Results, Unavailable,
};
use xtask::scheme::SchemeName;

/// Widths of a phone and of a desk.
const WIDTHS: [u32; 2] = [390, 1440];

/// What the page found out about itself.
#[derive(Debug, Deserialize)]
struct Findings {
    width: u32,
    /// The ready state of each player once nothing moves any more: 1 and more knows how long the sound is.
    players: Vec<u8>,
    durations: Vec<f64>,
    /// The width of each decoded picture.
    pictures: Vec<u32>,
    /// Marks of each drawing.
    marks: Vec<usize>,
    /// Addresses of what was loaded.
    loaded: Vec<String>,
    /// How much wider than its window the page is.
    overflow: i64,
    /// Errors that the page could see.
    errors: Vec<String>,
    /// What stands in the headings.
    headings: Vec<String>,
}

/// Put into the page, this waits for what loads and then tells the window around it.
const PROBE: &str = r#"<script>
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message)), true);
addEventListener("securitypolicyviolation", (event) => errors.push("policy: " + event.blockedURI));
addEventListener("load", async () => {
  const patience = performance.now() + 20000;
  const players = [...document.querySelectorAll("audio")], pictures = [...document.images];
  const waits = () => players.some((it) => it.readyState < 1 && !it.error) || pictures.some((it) => !it.complete);
  while (waits() && performance.now() < patience) await new Promise((done) => setTimeout(done, 20));
  const root = document.documentElement;
  parent.postMessage({
    width: innerWidth,
    players: players.map((it) => it.readyState),
    durations: players.map((it) => Number.isFinite(it.duration) ? it.duration : -1),
    pictures: pictures.map((it) => it.naturalWidth),
    marks: [...document.querySelectorAll("svg")].map((it) => it.querySelectorAll("circle, rect").length),
    loaded: performance.getEntriesByType("resource").map((it) => it.name.slice(0, 40)),
    overflow: root.scrollWidth - innerWidth,
    errors,
    headings: [...document.querySelectorAll("h1, h2")].map((it) => it.textContent),
  }, "*");
});
</script>"#;

/// The window around the page: a frame of each width, and an element that takes what they say.
fn window() -> String {
    let frame = |width: &u32| format!(r#"<iframe src="probed.html" width="{width}" height="2000"></iframe>"#);
    let frames: String = WIDTHS.iter().map(frame).collect();
    let script = format!(
        r#"const said = [];
addEventListener("message", (event) => {{
  said.push(event.data);
  if (said.length === {}) document.getElementById("said").textContent = JSON.stringify(said);
}});"#,
        WIDTHS.len()
    );
    format!(
        r#"<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script>{script}</script>
<pre id="said"></pre>{frames}"#
    )
}

/// Chromium under the names that systems give it.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// Opens `page` in the browser; what it found at each width, and the lines of the console.
fn look_at(chromium: &Path, page: &str, folder: &Path) -> (Vec<Findings>, Vec<String>) {
    let probed = page.replacen("</head>", &format!("{PROBE}</head>"), 1);
    assert_ne!(probed, page, "the page has no head");
    fs_err::write(folder.join("probed.html"), probed).unwrap();
    fs_err::write(folder.join("window.html"), window()).unwrap();
    let output = Command::new(chromium)
        // A container's root has no sandbox, and the page is our own.
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("file://{}", folder.join("window.html").display()))
        .output()
        .unwrap();
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = dom.split_once(r#"<pre id="said">"#).and_then(|(_, rest)| rest.split_once("</pre>"));
    let (said, _) = said.unwrap_or_else(|| panic!("the browser shows nothing: {log}"));
    // What is text in a document is escaped in its source.
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let findings = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: `{said}`\n{log}"));
    (findings, log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect())
}

/// Chromium; `None` where there is none and that is no defect of the machine.
fn browser() -> Option<PathBuf> {
    let found = chromium();
    if found.is_none() {
        assert!(!Environment::read().ci, "no Chromium\nhint: `.ci/run` installs it on Debian");
        println!("skipped: no Chromium");
    }
    found
}

const ROUNDS: usize = 4;

/// What the main job makes of a small model; made once, and a copy of its own for each test.
fn quantized() -> Program {
    static MADE: LazyLock<Checkout> =
        LazyLock::new(|| Checkout::having_made(&[SchemeName::LinearInt8, SchemeName::WeightsInt8], ROUNDS));
    Program::with_artifacts_of(MADE.artifacts().folder())
}

#[test]
fn the_page_works_in_a_browser_at_the_width_of_a_phone_and_of_a_desk() {
    let program = quantized();
    let path = program.path("artifacts/quantization_comparison_results.json");
    let results = Results::read(&path).unwrap();
    let page = fs_err::read_to_string(program.path("artifacts/report.html")).unwrap();
    let Some(chromium) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (findings, console) = look_at(&chromium, &page, folder.path());
    assert_eq!(console, [""; 0]);

    // Base and candidates say every sentence.
    let said = (1 + results.candidates.len()) * results.sentences.len();
    let widths: Vec<u32> = findings.iter().map(|found| found.width).collect();
    assert!(WIDTHS.iter().all(|width| widths.contains(width)), "{widths:?}");
    for found in findings {
        println!("{} pixels wide", found.width);
        assert_eq!(found.errors, [""; 0]);
        assert!(found.overflow <= 0, "wider than its window by {} pixels", found.overflow);
        assert_eq!(found.players.len(), said);
        assert!(found.players.iter().all(|state| *state >= 1), "{:?}", found.players);
        assert!(found.durations.iter().all(|seconds| *seconds > 0.1), "{:?}", found.durations);
        // A spectrogram of each, and a difference of all but the base.
        assert_eq!(found.pictures.len(), said + results.candidates.len() * results.sentences.len());
        assert!(found.pictures.iter().all(|width| *width > 0), "{:?}", found.pictures);
        // Speed ratios: a mark for each candidate. Calls: one for each round, model and sentence.
        let bench = results.candidates.len() + 1;
        let sentences = page.matches("class=\"band\"").count();
        assert!(found.marks.contains(&results.candidates.len()), "{:?}", found.marks);
        assert!(found.marks.contains(&(ROUNDS * bench * sentences)) && sentences > 0, "{:?}", found.marks);
        assert!(found.marks.iter().all(|marks| *marks > 0 || sentences == 0), "{:?}", found.marks);
        assert!(found.loaded.iter().all(|address| address.starts_with("data:")), "{:?}", found.loaded);
        assert!(found.headings[0].contains("is the chosen model"), "{:?}", found.headings);
    }
}

#[test]
fn the_page_is_a_function_of_results_and_sounds() {
    let program = quantized();
    let first = fs_err::read_to_string(program.path("artifacts/report.html")).unwrap();
    let again = program.run(&["report", "--artifacts", "artifacts", "--output", "again.html"]);
    assert_eq!((again.code, again.output.as_str()), (Some(0), "again.html\n"), "{}", again.errors);
    assert!(fs_err::read_to_string(program.path("again.html")).unwrap() == first, "another page");

    // Names are whatever a file is called: here, an attempt to leave the text.
    let path = program.path("artifacts/quantization_comparison_results.json");
    let hostile = fs_err::read_to_string(&path).unwrap();
    let hostile = hostile.replacen("\"text\": \"", "\"text\": \"<script>alert(1)</script>", 1);
    fs_err::write(&path, hostile).unwrap();
    fs_err::remove_dir_all(program.path("artifacts/audio")).unwrap();
    let ended = program.run(&["report", "--artifacts", "artifacts"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let page = fs_err::read_to_string(program.path("artifacts/report.html")).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"));
    // What is gone is said, and is no error.
    assert!(!page.contains("<audio") && page.contains("No recording: "));

    // Results of another version are not shown as if they were of this one.
    fs_err::write(&path, "{}").unwrap();
    let ended = program.run(&["report", "--artifacts", "artifacts"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("hint: `cargo xtask quantize` makes them again"), "{}", ended.errors);
}

/// Else the test of the page could not fail.
#[test]
fn the_browser_tells_what_is_broken() {
    let Some(chromium) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = r#"<!DOCTYPE html><html><head></head><body style="margin: 0">
<audio src="data:audio/flac;base64,AAAA"></audio><img src="data:image/png;base64,AAAA">
<div style="width: 2000px">wide</div><svg></svg><script>console.error("said aloud")</script></body></html>"#;
    let (findings, console) = look_at(&chromium, page, folder.path());
    assert!(console.iter().any(|line| line.contains("said aloud")), "{console:?}");
    for found in findings {
        assert_eq!(
            (&found.players[..], &found.pictures[..], &found.marks[..]),
            (&[0][..], &[0][..], &[0][..])
        );
        assert_eq!(found.overflow, 2000 - i64::from(found.width));
        assert!(found.durations[0] < 0.0);
    }
}

#[test]
fn providers_are_a_matrix_with_verdicts_or_the_reason() {
    let program = quantized();
    let path = program.path("artifacts/quantization_comparison_results.json");
    let shown = || {
        let ended = program.run(&["report", "--artifacts", "artifacts"]);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        fs_err::read_to_string(program.path("artifacts/report.html")).unwrap()
    };
    let section = |page: &str| {
        let (_, rest) = page.split_once("<section id=\"providers\">").unwrap();
        rest.split_once("</section>").unwrap().0.to_owned()
    };
    let mut results = Results::read(&path).unwrap();
    let predicted = Choice { scheme: "weights-int8".into(), evidence: Evidence::Predicted };
    results.chosen_for.insert(ExecutionProvider::CoreMl, predicted);
    results.write(&path).unwrap();
    let without = section(&shown());
    let told = [
        "CPUExecutionProvider",
        "weights-int8",
        "no release of ONNX Runtime has an MPS provider",
        "<strong>coreml</strong>: weights-int8 (predicted, not measured)",
        "<strong>cpu</strong>: weights-int8 (measured)",
        "Predicted for CoreML",
    ];
    for text in told {
        assert!(without.contains(text), "no `{text}` in {without}");
    }

    let speech = Check::at_most("lsd_db.mean", 31.5, 1.0, "dB").with_detail("3 sentences");
    let fidelity = Some(Report::new(Gate::Fidelity, vec![speech]));
    let smoke = Some(Report::new(Gate::Smoke, vec![Check::at_most("not_finite", 0.0, 0.0, "samples")]));
    let ratio = Interval { count: 8, median: 1.375, low: 1.25, high: 1.5, confidence: 0.95 };
    let ProviderBenchmark::Measured(times) =
        results.original_benchmark.as_ref().unwrap().providers[&ExecutionProvider::Cpu].clone()
    else {
        panic!("the base was not timed")
    };
    let model = ProviderModel {
        sha256: results.candidates["weights-int8"].sha256,
        gates: GateResults { smoke, fidelity, ..GateResults::default() },
        fidelity: None,
        benchmark: Some(times),
        speed_ratio: None,
        over_cpu: Some(ratio),
    };
    let gates = ProviderGates {
        available: true,
        setting: "WebGpuExecutionProvider, GPU".into(),
        models: [("weights-int8".to_owned(), model)].into(),
    };
    results.add_provider(ExecutionProvider::WebGpu, ProviderResult::Available(gates));
    let why = Unavailable::new("its plugin offers no device");
    results.add_provider(ExecutionProvider::OpenVino, ProviderResult::Unavailable(why));
    results.write(&path).unwrap();
    assert_eq!(Results::read(&path).unwrap(), results);
    let with = section(&shown());
    for text in
        ["WebGpuExecutionProvider, GPU", "1.375 ×", ">fail<", "lsd_db.mean", "its plugin offers no device"]
    {
        assert!(with.contains(text), "no `{text}` in {with}");
    }
}
