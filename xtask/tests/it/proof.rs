//! The proof: when `quantize` takes it in the place of measuring, and when it does not.
#![cfg(unix)]

use crate::support::checkout::{BASE, Checkout};
use crate::support::models;
use xtask::base::BaseArgs;
use xtask::commands::prove::{self, ProveArgs};
use xtask::commands::quantize::QuantizeArgs;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::gates::Gate;
use xtask::lock::Lock;
use xtask::proof::Proof;
use xtask::results::Results;
use xtask::scheme::SchemeName;

const BOTH: [SchemeName; 2] = [SchemeName::LinearInt8, SchemeName::WeightsInt8];

fn updating() -> QuantizeArgs {
    QuantizeArgs { update_lock: true, ..Checkout::arguments(&BOTH) }
}

fn forced() -> QuantizeArgs {
    QuantizeArgs { force: true, ..Checkout::arguments(&BOTH) }
}

impl Checkout {
    fn results(&self) -> Results {
        Results::read(&self.artifacts().results()).unwrap()
    }

    /// What is kept of what the base said, which only a measurement of fidelity asks for.
    fn forget_what_was_said(&self) {
        let said = self.artifacts().fidelity();
        if said.exists() {
            fs_err::remove_dir_all(said).unwrap();
        }
    }

    #[track_caller]
    fn quantize_is_refused(&self, args: &QuantizeArgs, texts: &[&str]) {
        let error = self.quantize(args).unwrap_err();
        let message = format!("{error:#}");
        assert_eq!(exit_code(&error), 1, "{message}");
        for text in texts {
            assert!(message.contains(text), "no `{text}` in: {message}");
        }
    }
}

#[test]
fn what_has_the_digests_of_the_lock_is_proved_and_nothing_else_is() {
    let checkout = Checkout::new(&models::clear());
    checkout.quantize(&updating()).unwrap();
    let workspace = checkout.workspace();
    let lock = Lock::read(&workspace.lock()).unwrap();
    assert_eq!(lock.proof, Some(Digest::of_file(&workspace.proof()).unwrap()));
    let proof = Proof::read(&workspace.proof(), &lock).unwrap().unwrap();
    let measured = checkout.results();
    assert!(measured.full && measured.candidates.values().all(|it| it.proved.is_none()));
    assert_eq!(measured.fidelity_threads, Some(1));

    // Made and judged again: the figures are those of the proof, and nobody listened.
    checkout.forget_what_was_said();
    checkout.quantize(&forced()).unwrap();
    assert!(!checkout.artifacts().fidelity().exists(), "fidelity was measured");
    let proved = checkout.results();
    assert!(!proved.full && proved.fidelity_threads.is_none());
    for (scheme, candidate) in &proved.candidates {
        let of_the_proof = proof.find(BASE, lock.base[BASE].sha256, scheme).unwrap();
        assert_eq!(candidate.proved.as_ref(), Some(&of_the_proof.measured_on), "{scheme}");
        assert_eq!(candidate.fidelity.as_ref(), Some(&of_the_proof.fidelity), "{scheme}");
        assert_eq!(candidate.gates.fidelity, of_the_proof.report(Gate::Fidelity), "{scheme}");
        assert!(candidate.gates.smoke.is_some() && candidate.gates.bench.is_some(), "{scheme} runs here");
        assert!(candidate.gates.all_passed());
    }
    let report = fs_err::read_to_string(checkout.artifacts().report()).unwrap();
    assert!(
        report.contains("Proved") && report.contains("linear-int8, weights-int8"),
        "at the top of the page"
    );

    // A full run asks no proof.
    checkout.quantize(&QuantizeArgs { full: true, ..forced() }).unwrap();
    assert!(checkout.artifacts().fidelity().exists());
    assert!(checkout.results().full);

    // Nor is there one of a model of one's own, though it is the same but for one weight.
    checkout.forget_what_was_said();
    let mut other = models::clear();
    models::change_one_weight(&mut other);
    let model = Some(models::write(&other, &checkout.path("other.onnx")));
    let own = || QuantizeArgs { base: BaseArgs { model: model.clone(), ..BaseArgs::default() }, ..forced() };
    checkout.quantize(&own()).unwrap();
    assert!(checkout.artifacts().fidelity().exists(), "judged here");
    let results = checkout.results();
    assert!(results.candidates.values().all(|it| it.proved.is_none() && it.fidelity.is_some()));

    // By hand, of one digit: refused before anything is made, but for a model that it has nothing to say of.
    let text = fs_err::read_to_string(workspace.proof()).unwrap();
    let (at, digit) = text.char_indices().rfind(|(_, it)| it.is_ascii_digit()).unwrap();
    let mut edited = text.clone();
    edited.replace_range(at..=at, if digit == '1' { "2" } else { "1" });
    fs_err::write(workspace.proof(), edited).unwrap();
    let texts = ["kokoro-v1.0.proof.json` is not the proof of the lock: expected sha256 ", "hint: "];
    checkout.quantize_is_refused(&forced(), &texts);
    checkout.quantize(&own()).unwrap();
    fs_err::remove_file(workspace.proof()).unwrap();
    checkout.quantize_is_refused(&forced(), &["found no file"]);
    checkout.quantize(&updating()).unwrap();
    checkout.quantize(&forced()).unwrap();
}

#[test]
fn parts_of_several_runs_are_joined_by_digest() {
    let checkout = Checkout::new(&models::clear());
    let workspace = checkout.workspace();
    let part = |scheme: &str| checkout.artifacts().proof(BASE, scheme);
    let join = |schemes: &[&str], update_lock| {
        prove::run(&ProveArgs { join: schemes.iter().map(|it| part(it)).collect(), update_lock }, &workspace)
    };
    for scheme in BOTH {
        let args = QuantizeArgs { full: true, ..Checkout::arguments(&[scheme]) };
        checkout.quantize(&args).unwrap();
    }
    let refused = |outcome: anyhow::Result<()>, code: u8, text: &str| {
        let error = outcome.unwrap_err();
        assert_eq!(exit_code(&error), code, "{error:#}");
        assert!(format!("{error:#}").contains(text), "{error:#}");
    };
    refused(join(&["linear-int8"], true), 1, "no part proves `weights-int8`");
    assert!(!workspace.lock().exists());
    join(&["weights-int8", "linear-int8"], true).unwrap();
    let lock = Lock::read(&workspace.lock()).unwrap();
    assert_eq!(lock.base[BASE].artifact.len(), 2);
    checkout.quantize(&forced()).unwrap();
    assert!(checkout.results().candidates.values().all(|it| it.proved.is_some()));

    // Against the lock: all of it, and nothing else.
    join(&["weights-int8", "linear-int8"], false).unwrap();
    let folder = vec![checkout.artifacts().folder().join("proof")];
    prove::run(&ProveArgs { join: folder, update_lock: false }, &workspace).unwrap();
    refused(join(&["weights-int8"], false), 1, "no part proves `linear-int8` of `kokoro-v1.0`");
    refused(join(&["nothing"], false), 2, "nothing.json");
    let text = fs_err::read_to_string(part("weights-int8")).unwrap();
    let sha256 = lock.base[BASE].artifact["weights-int8"].sha256.to_string();
    fs_err::write(part("weights-int8"), text.replace(&sha256, &Digest::of(b"other").to_string())).unwrap();
    refused(
        join(&["weights-int8", "linear-int8"], false),
        1,
        "`weights-int8` of `kokoro-v1.0`: expected sha256 ",
    );
}

#[test]
fn a_changed_quantizer_is_judged_here_where_it_makes_other_bytes() {
    let checkout = Checkout::new(&models::clear());
    checkout.quantize(&updating()).unwrap();
    let workspace = checkout.workspace();
    // As if the lock and its proof were of an earlier quantizer, of which one artifact was another.
    let mut lock = Lock::read(&workspace.lock()).unwrap();
    let mut proof = Proof::read(&workspace.proof(), &lock).unwrap().unwrap();
    let earlier = "0.1.0+earlier".to_owned();
    let other = Digest::of(b"other");
    (lock.tool, proof.tool) = (earlier.clone(), earlier);
    let artifacts = &mut lock.base.get_mut(BASE).unwrap().artifact;
    artifacts.get_mut("linear-int8").unwrap().sha256 = other;
    let proved = &mut proof.base.get_mut(BASE).unwrap().artifact;
    proved.get_mut("linear-int8").unwrap().sha256 = other;
    lock.proof = Some(proof.write(&workspace.proof()).unwrap());
    lock.write(&workspace.lock()).unwrap();

    checkout.quantize(&forced()).unwrap();
    let results = checkout.results();
    assert!(results.candidates["linear-int8"].proved.is_none());
    assert!(results.candidates["linear-int8"].fidelity.is_some(), "measured here");
    assert!(results.candidates["weights-int8"].proved.is_some(), "the same bytes as before");
    let locked = QuantizeArgs { base: BaseArgs { locked: true, ..forced().base }, ..forced() };
    checkout.quantize_is_refused(&locked, &["this is not what the lock has", "the version of the quantizer"]);
}
