//! A plan comes back as it was written, and one that is not what it should be is refused by file and key.

use std::path::PathBuf;

use quantizer::calibration::Channel;

use super::*;
use crate::failure::exit_code;
use crate::recipe::EdgesRecipe;
use crate::safetensors;

fn plan() -> Plan {
    let channel = |at: f32| Channel { low: -at, high: 2.0 * at, mean: at / 3.0, mean_square: at * at };
    let values = [("/a/Add_output_0", 3), ("/a/0/c\"1\"/Conv_output_0", 2)];
    let values =
        values.map(|(name, count)| (name.to_owned(), (0..count).map(|it| channel(it as f32)).collect()));
    Plan {
        tool: "0.1.0+0123456789ab".into(),
        rewrites: vec!["redundant".into(), "square".into()],
        convolutions: ["/a/0/c\"1\"/Conv", "/a/0/c2/Conv", "/a/1/c1/Conv"].map(str::to_owned).to_vec(),
        base: PlanBase { name: "small".into(), sha256: Digest::of(b"base") },
        calibration: Calibration {
            sentences: 28,
            sha256: Digest::of(b"sentences"),
            clip_ratios: vec![1.0, 0.95, 0.1],
            edges: vec![EdgesRecipe { pattern: "/a/\\d\"/".into(), positions: 320, times: 7.5 }],
        },
        ranges: Ranges { values: values.into() },
        sha256: Digest::of(&[]),
    }
}

/// A folder with the plan in it.
fn written() -> (tempfile::TempDir, PathBuf, Plan) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.plan.toml");
    let plan = plan().write(&path).unwrap();
    (folder, path, plan)
}

#[track_caller]
fn complaint(path: &Path) -> String {
    let error = Plan::load(path).expect_err("the plan was taken");
    assert_eq!(exit_code(&error), 2);
    let message = format!("{error:#}");
    assert!(message.contains(&path.display().to_string()), "the file is not named: {message}");
    message
}

#[test]
fn a_plan_comes_back_as_it_was_written() {
    let (folder, path, written) = written();
    assert_eq!(Plan::load(&path).unwrap(), written);
    assert_eq!(Plan { sha256: plan().sha256, ..written.clone() }, plan());
    let text = fs_err::read_to_string(&path).unwrap();
    assert_eq!(written.sha256, Digest::of(text.as_bytes()));
    assert!(
        text.contains("    # /a/0: 2\n    '/a/0/c\"1\"/Conv',\n    \"/a/0/c2/Conv\",\n    # /a/1: 1\n"),
        "{text}"
    );
    let mut files: Vec<_> =
        fs_err::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["small.plan.toml", "small.ranges.safetensors"]);
    assert_eq!(plan().write(&path).unwrap().sha256, written.sha256, "the same plan, other bytes");
}

#[test]
fn what_a_plan_may_not_say_is_named() {
    let digest = Digest::of(b"base").to_string();
    let cases = [
        ("tool = ", "tools = ", "unknown field `tools`"),
        ("[base]\n", "[base]\nbytes = 1\n", "unknown field `bytes`"),
        ("sentences = 28", "sentences = 28\nvoices = 1", "unknown field `voices`"),
        ("clip_ratios = [1.0", "clip_ratios = [\"1.0\"", "expected f32"),
        ("positions = 320", "positions = 320\nframes = 3", "unknown field `frames`"),
        ("times = 7.5", "", "missing field `times`"),
        ("\"square\"", "\"cube\"", "`rewrites`: expected some of"),
        ("/a/1/c1/Conv", "/a/0/c2/Conv", "`static`: `/a/0/c2/Conv` is given twice"),
        ("small.ranges", "other.ranges", "`ranges.file`: expected `small.ranges.safetensors`"),
        (&digest[..], "0123", "a SHA-256 digest is 64"),
    ];
    for (old, new, expected) in cases {
        let (_folder, path, _) = written();
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(old), "no `{old}` in: {text}");
        fs_err::write(&path, text.replacen(old, new, 1)).unwrap();
        let message = complaint(&path);
        assert!(message.contains(expected), "`{new}`: no `{expected}` in: {message}");
    }
}

#[test]
fn ranges_of_another_digest_are_refused() {
    let (folder, path, _) = written();
    let ranges = folder.path().join("small.ranges.safetensors");
    let mut bytes = fs_err::read(&ranges).unwrap();
    let found = bytes.len() - 1;
    bytes[found] ^= 1;
    fs_err::write(&ranges, &bytes).unwrap();
    let message = complaint(&path);
    assert!(
        message.contains("`ranges.sha256`") && message.contains(&Digest::of(&bytes).to_string()),
        "{message}"
    );
    fs_err::remove_file(&ranges).unwrap();
    assert!(complaint(&path).contains("small.ranges.safetensors"));
}

#[test]
fn ranges_of_another_shape_are_refused() {
    let (folder, path, plan) = written();
    let other = safetensors::written([("/a/Add_output_0", (&[2, 2][..], &[0.0; 4][..]))]).unwrap();
    fs_err::write(folder.path().join("small.ranges.safetensors"), &other).unwrap();
    let known = Digest::of(&fs_err::read(path.with_file_name("small.ranges.safetensors")).unwrap());
    let text = fs_err::read_to_string(&path).unwrap();
    let was = Digest::of(&file::written_ranges(&plan.ranges).unwrap()).to_string();
    fs_err::write(&path, text.replace(&was, &known.to_string())).unwrap();
    let message = complaint(&path);
    assert!(message.contains("`/a/Add_output_0`: expected float32 [4, channels], found [2, 2]"), "{message}");
}

#[test]
fn the_selection_is_of_the_names_and_no_others() {
    let selects = |plan: &Plan, name: &str| {
        plan.selection().unwrap().selects(&quantizer::graph::node("Conv", name, &["x", "w"], &["y"]))
    };
    let plan = plan();
    assert!(plan.convolutions.iter().all(|name| selects(&plan, name)));
    for other in ["/a/0/c2/Conv2", "/b/a/0/c2/Conv", "/A/0/c2/Conv", "/a/0/c2xConv", ""] {
        assert!(!selects(&plan, other), "{other}");
    }
    let none = Plan { convolutions: Vec::new(), ..plan };
    assert!(!selects(&none, "") && !selects(&none, "/a/0/c2/Conv"));
}

#[test]
fn only_a_name_of_a_plan_can_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let error = plan().write(&folder.path().join("plan.toml")).unwrap_err();
    assert_eq!(error.to_string(), "expected a name that ends with `.plan.toml`, found `plan.toml`");
}
